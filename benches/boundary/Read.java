import java.nio.file.Files;
import java.nio.file.Path;
import maxstorage.MaxStorageClient;
import maxstorage.Options;
import maxstorage.ReadSession;
import maxstorage.SplitReader;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;

/** Java over bindings/java: {@code Read ENDPOINT TOKEN-FILE TIMES} imports every batch of every split into arrow-java; prints the rows as JSON. */
public final class Read {
    private Read() {}

    public static void main(String[] arguments) throws Exception {
        long rows = 0;
        try (BufferAllocator allocator = new RootAllocator();
                Options options = new Options().endpoint(arguments[0]).set("access_key_id", "local").set("access_key_secret", "local");
                MaxStorageClient client = MaxStorageClient.open(options);
                ReadSession session = client.attach(Files.readAllBytes(Path.of(arguments[1])))) {
            for (int time = 0; time < Integer.parseInt(arguments[2]); time++) {
                for (long index = 0; index < session.splits(); index++) {
                    try (SplitReader split = session.openSplit(index, options, allocator)) {
                        for (VectorSchemaRoot batch = split.next(); batch != null; batch = split.next()) {
                            rows += batch.getRowCount();
                            batch.close();
                        }
                    }
                }
            }
        }
        System.out.println("{\"rows\": " + rows + "}");
    }
}
