set -e
java=$(echo /usr/lib/jvm/java-*-openjdk-*/bin | tr ' ' '\n' | head -n 1)
"$java/java" "$(dirname "$0")/Hello.java"
