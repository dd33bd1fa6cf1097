/**
 * What Ward is tested with: a guest program that says of every page what it read, the memory it
 * runs on, and an independent account of what it should have read.
 */
package ward.testbed;
