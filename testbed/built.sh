# Sourced by the commands here: builds what is missing or older than its sources. Sets top, jar and the array java.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jar=$top/target/ward.jar
if [ ! -e "$jar" ] || [ -n "$(find "$top"/src "$top"/proto "$top"/native-stubs "$top"/testbed "$top"/pom.xml -newer "$jar" -type f -print -quit)" ]; then
	echo "building ward" >&2
	(cd "$top" && mvn -q -B -DskipTests package >&2)
fi

java=("${JAVA_HOME:+$JAVA_HOME/bin/}java")
if "${java[0]}" --help 2>&1 | grep -q enable-native-access; then
	java+=(--enable-native-access=ALL-UNNAMED)
fi
java+=(-Dward.top="$top" -Dward.jar="$jar" -cp "$jar:$top/target/test-classes")
