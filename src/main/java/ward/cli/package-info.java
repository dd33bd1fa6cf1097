/**
 * Commands, options, exit codes: the only place where the parts are put together.
 *
 * <p>Results go to standard output, progress and errors to standard error. Start with {@link
 * ward.cli.Main}.
 */
package ward.cli;
