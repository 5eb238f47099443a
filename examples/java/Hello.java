import maxstorage.MaxStorageClient;
import maxstorage.MaxStorageException;
import maxstorage.Options;
import maxstorage.ReadSession;
import maxstorage.Scan;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;

/** Counts the rows of a table: the quick start of docs/java.md. */
public final class Hello {
    private Hello() {}

    private static long count(String endpoint, String table) {
        try (BufferAllocator allocator = new RootAllocator();
                Options options = new Options().loadEnvironment().endpoint(endpoint).table(table); // ALIBABA_CLOUD_ACCESS_KEY_ID and ..._SECRET
                MaxStorageClient client = MaxStorageClient.open(options);
                ReadSession session = client.read(options);
                Scan scan = session.openScan(options, allocator)) {
            long rows = 0;
            for (Scan.Batch batch = scan.next(); batch != null; batch = scan.next()) {
                try (Scan.Batch taken = batch) {
                    rows += taken.rows().getRowCount();
                }
            }
            return rows;
        }
    }

    public static void main(String[] arguments) {
        if (arguments.length != 2) {
            System.err.println("usage: Hello ENDPOINT PROJECT.SCHEMA.TABLE");
            System.exit(2);
        }
        try {
            System.out.println(count(arguments[0], arguments[1]) + " rows");
        } catch (MaxStorageException failure) {
            System.err.println("hello: " + failure.getMessage());
            System.exit(1);
        }
    }
}
