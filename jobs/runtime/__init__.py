"""What an embedded run needs beside the graph: Java, a Flink in this process's care, an embedded Valkey."""
