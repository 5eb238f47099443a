package conformance;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PrimitiveIterator;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.LongPredicate;
import java.util.function.Supplier;
import maxstorage.Attempt;
import maxstorage.Canceller;
import maxstorage.MaxStorage;
import maxstorage.MaxStorageClient;
import maxstorage.MaxStorageException;
import maxstorage.Options;
import maxstorage.Predicate;
import maxstorage.Predicate.Op;
import maxstorage.ReadSession;
import maxstorage.Scan;
import maxstorage.SplitReader;
import maxstorage.SplitToken;
import maxstorage.Status;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.TimeStampVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.dictionary.Dictionary;
import org.apache.arrow.vector.dictionary.DictionaryEncoder;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.DictionaryEncoding;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.Schema;

/** The scenarios of tests/conformance/scenarios.txt in Java. */
public final class Conformance {
    private static final long LINEITEM_ROWS = 60175;
    private static final long ORDERKEYS = 1802759573;
    private static final long RAMP_ROWS = 4000;
    private static final long RAMP_SUM = 7998000;

    private static final BufferAllocator MEMORY = new RootAllocator();
    private static int passed;
    private static int failed;

    private Conformance() {}

    private interface Body {
        void run() throws Exception;
    }

    private static void scenario(String name, Body body) {
        String trouble = null;
        try {
            body.run();
            if (MaxStorage.liveHandles() != 0) {
                trouble = MaxStorage.liveHandles() + " handles are alive";
            } else if (MEMORY.getAllocatedMemory() != 0) {
                trouble = MEMORY.getAllocatedMemory() + " bytes of Arrow are held";
            }
        } catch (Throwable failure) {
            trouble = failure + " at " + (failure.getStackTrace().length > 0 ? Arrays.asList(failure.getStackTrace()).subList(0, Math.min(4, failure.getStackTrace().length)) : "");
        }
        if (trouble == null) {
            passed++;
            System.out.println("ok     " + name);
        } else {
            failed++;
            System.out.println("  " + trouble + "\nFAILED " + name);
        }
    }

    private static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static Options options() {
        return new Options().endpoint(System.getenv("MS_TEST_ENDPOINT")).accessKey("local", "local").project("local").set("retry.initial_backoff_ms", 20);
    }

    private static Options table(String name) {
        return options().table(name);
    }

    private static Options lineitem() {
        return table("lineitem").columns("l_orderkey");
    }

    private static ReadSession open(Options options) {
        return open(options, null);
    }

    private static ReadSession open(Options options, Predicate filter) {
        try (MaxStorageClient client = MaxStorageClient.open(options)) {
            return client.read(options, filter);
        }
    }

    /** How many orders are 1-URGENT, and the most texts that the dictionary of a batch has; 0 for a column that is none. */
    private static long[] urgent(String dictionary) throws IOException {
        long[] found = {0, 0};
        Options options = table("orders").columns("o_orderkey", "o_orderpriority");
        if (dictionary != null) {
            options.add("types.dictionary", dictionary);
        }
        try (options; ReadSession session = open(options); Scan scan = session.openScan(MEMORY); ArrowReader reader = scan.intoArrowReader()) {
            while (reader.loadNextBatch()) {
                FieldVector column = reader.getVectorSchemaRoot().getVector(1);
                DictionaryEncoding encoding = column.getField().getDictionary();
                if (encoding == null) {
                    found[0] += count((VarCharVector) column);
                    continue;
                }
                Dictionary texts = reader.lookup(encoding.getId());
                found[1] = Math.max(found[1], texts.getVector().getValueCount());
                try (VarCharVector decoded = (VarCharVector) DictionaryEncoder.decode(column, texts)) {
                    found[0] += count(decoded);
                }
            }
        }
        return found;
    }

    private static long count(VarCharVector texts) {
        long found = 0;
        for (int row = 0; row < texts.getValueCount(); row++) {
            found += texts.getObject(row).toString().equals("1-URGENT") ? 1 : 0;
        }
        return found;
    }

    /** Rows, and the sum of the first column. */
    private static final class Tally {
        private long rows;
        private long sum;
        private long longest;
        private long batches;

        private synchronized void add(VectorSchemaRoot batch) {
            rows += batch.getRowCount();
            batches++;
            longest = Math.max(longest, batch.getRowCount());
            if (batch.getVector(0) instanceof BigIntVector) {
                BigIntVector numbers = (BigIntVector) batch.getVector(0);
                for (int i = 0; i < batch.getRowCount(); i++) {
                    sum += numbers.get(i);
                }
            }
        }

        private Tally drain(SplitReader split) {
            for (VectorSchemaRoot batch = split.next(); batch != null; batch = split.next()) {
                try (VectorSchemaRoot taken = batch) {
                    add(taken);
                }
            }
            return this;
        }

        private void isLineitem() {
            check(rows == LINEITEM_ROWS && sum == ORDERKEYS, this);
        }

        @Override
        public String toString() {
            return rows + " rows, sum " + sum + ", longest " + longest;
        }
    }

    private static Tally read(Options options) {
        try (options; ReadSession session = open(options)) {
            return readAll(session, options);
        }
    }

    private static Tally readAll(ReadSession session, Options read) {
        Tally all = new Tally();
        for (long i = 0; i < session.splits(); i++) {
            try (SplitReader split = session.openSplit(i, read, MEMORY)) {
                all.drain(split);
            }
        }
        return all;
    }

    /** id >= 3990, as pyarrow.compute.Expression.to_substrait writes it. */
    private static final String SUBSTRAIT = "0a5a125868747470733a2f2f6769746875622e636f6d2f7375627374726169742d696f2f7375627374726169742f626c6f622f6d61696e2f65787465"
            + "6e73696f6e732f66756e6374696f6e735f636f6d70617269736f6e2e79616d6c12071a051a036774651a2b0a1d1a1b1a040a021001220a1a0812060a"
            + "021200220022071a050a0338961f1a0a65787072657373696f6e220c0a02696412060a043a0210013a10102c2a0c416365726f2032362e302e31";

    private static Tally readWhere(Predicate filter) {
        try (filter; Options options = table("ramp").set("filter.exact", true); ReadSession session = open(options, filter)) {
            return readAll(session, options);
        }
    }

    private static SplitReader oneSplit(String table) {
        return oneSplit(table(table));
    }

    /** Closes the options. */
    private static SplitReader oneSplit(Options whole) {
        try (Options options = whole.splitByCount(1); ReadSession session = open(options)) {
            return session.openSplit(0, MEMORY);
        }
    }

    private static MaxStorageException failure(int code, Body work) throws Exception {
        try {
            work.run();
        } catch (MaxStorageException failure) {
            check(failure.code() == code, failure);
            return failure;
        }
        throw new AssertionError("no failure with code " + code);
    }

    private static MaxStorageException failure(int code, Supplier<Options> options) throws Exception {
        return failure(code, () -> read(options.get()));
    }

    // ---------------------------------------------------------------------------------------------------------------- reading

    private static void reading() {
        scenario("versions", () -> { // another ABI does not load
            check(!MaxStorage.version().isEmpty() && MaxStorage.buildInfo().contains(MaxStorage.version()), MaxStorage.buildInfo());
            check((MaxStorage.features() & 2) != 0, MaxStorage.features()); // MS_FEATURE_SCANS
        });
        scenario("read_all_rows", () -> read(lineitem()).isLineitem());
        scenario("split_by_count", () -> read(lineitem().splitByCount(8)).isLineitem());
        scenario("split_by_rows", () -> {
            try (Options options = lineitem().splitByRows(2500); ReadSession session = open(options)) {
                check(session.splits() == 25, session.splits());
                Tally all = new Tally();
                for (long i = 0; i < session.splits(); i++) {
                    long before = all.rows;
                    try (SplitReader split = session.openSplit(i, MEMORY)) {
                        all.drain(split);
                    }
                    check(all.rows - before <= 2500, all);
                }
                all.isLineitem();
            }
        });
        scenario("split_by_bucket", () -> {
            try (Options options = table("clustered").splitByBucket(); ReadSession session = open(options)) {
                check(session.splits() == 8, session.splits());
                Tally all = readAll(session, options);
                check(all.rows == 100 && all.sum == 4950, all);
            }
        });
        scenario("projection", () -> {
            try (Options options = table("nation").columns("n_name", "n_nationkey"); ReadSession session = open(options)) {
                check(names(session.schema(MEMORY)).equals(List.of("n_name", "n_nationkey")), session.schema(MEMORY));
            }
        });
        scenario("partitions", () -> {
            try (Options options = table("parted").partitions("ds=20260101"); ReadSession session = open(options)) {
                check(names(session.schema(MEMORY)).equals(List.of("id", "note", "ds", "region")), session.schema(MEMORY));
                Tally part = readAll(session, options);
                check(part.rows == 2000 && part.sum == 2 * 499500, part);
            }
        });
        scenario("splits_while_planning", () -> {
            try (Options options = table("parted").partitions("ds=20260101", "ds=20260102").set("plan.wait", "first").set("plan.partitions_per_session", 1);
                    ReadSession session = open(options)) {
                Tally all = new Tally();
                long next = 0;
                for (PrimitiveIterator.OfLong numbers = session.splitNumbers(null); numbers.hasNext(); next++) {
                    long index = numbers.nextLong();
                    check(index == next, index);
                    try (Options own = options(); MaxStorageClient worker = MaxStorageClient.open(own);
                            ReadSession attached = worker.attach(session.splitTokenJson(index)); SplitReader split = attached.openSplit(index, null, MEMORY)) {
                        all.drain(split);
                    }
                }
                check(all.rows == 4000 && all.sum == 2 * 499500 + 1999000, all);
                check(session.tryMoreSplits(next).isComplete() && session.moreSplits(0, Duration.ofSeconds(5), null).count() == next, next);
            }
        });
        scenario("every_type", () -> {
            List<String> types = List.of("Int(8", "Int(16", "Int(32", "Int(64", "FloatingPoint(SINGLE", "FloatingPoint(DOUBLE", "Bool", "Utf8", "Utf8", "Utf8", "Binary",
                    "Decimal(15, 2", "Decimal(38, 0", "Decimal(38, 18", "Date(DAY", "Timestamp(MILLISECOND, UTC", "Timestamp(NANOSECOND, UTC", "Timestamp(NANOSECOND, null",
                    "Interval(YEAR_MONTH", "Interval(DAY_TIME", "List", "Map", "Struct", "List");
            try (SplitReader split = oneSplit("all_types"); VectorSchemaRoot batch = split.next()) {
                check(batch.getRowCount() == 4 && batch.getFieldVectors().size() == types.size(), batch.getSchema());
                for (int i = 0; i < types.size(); i++) {
                    FieldVector column = batch.getVector(i);
                    check(column.getField().getType().toString().startsWith(types.get(i)), column.getField());
                    for (int row = 0; row < 4; row++) {
                        check(column.isNull(row) == (row == 2), column.getField() + " row " + row);
                    }
                }
            }
        });
        scenario("large_offsets", () -> {
            List<String> types = List.of("LargeUtf8", "LargeBinary", "LargeList", "Map", "Struct");
            String[] columns = {"c_string", "c_binary", "c_array", "c_map", "c_struct"};
            try (SplitReader large = oneSplit(table("all_types").columns(columns).set("types.large_offsets", true));
                    SplitReader small = oneSplit(table("all_types").columns(columns));
                    VectorSchemaRoot batch = large.next();
                    VectorSchemaRoot plain = small.next()) {
                check(batch.getRowCount() == 4 && batch.getFieldVectors().size() == types.size(), batch.getSchema());
                for (int i = 0; i < types.size(); i++) {
                    check(batch.getVector(i).getField().getType().toString().startsWith(types.get(i)), batch.getVector(i).getField());
                }
                for (int row = 0; row < 4; row++) {
                    for (int i : new int[] {0, 2, 3, 4}) {
                        String got = String.valueOf(batch.getVector(i).getObject(row));
                        check(got.equals(String.valueOf(plain.getVector(i).getObject(row))), got);
                    }
                    byte[] bytes = (byte[]) batch.getVector(1).getObject(row);
                    check(Arrays.equals(bytes, (byte[]) plain.getVector(1).getObject(row)), row);
                }
            }
        });
        scenario("dictionaries", () -> {
            long[] plain = urgent(null);
            long[] keyed = urgent("o_orderpriority");
            check(plain[0] > 2000 && plain[1] == 0 && keyed[0] == plain[0] && keyed[1] == 5, Arrays.toString(keyed));
            try (SplitReader split = oneSplit(table("orders").add("types.dictionary", "*"))) {
                split.next(); // a batch alone has no place for its dictionaries
                check(false, "a batch without its dictionaries");
            } catch (UnsupportedOperationException failure) {
                check(failure.getMessage().contains("intoArrowReader"), failure);
            }
        });
        scenario("time_zone", () -> {
            String[] columns = {"c_datetime", "c_timestamp", "c_timestamp_ntz"};
            try (SplitReader there = oneSplit(table("all_types").columns(columns).set("types.time_zone", "Asia/Shanghai"));
                    SplitReader utc = oneSplit(table("all_types").columns(columns));
                    VectorSchemaRoot batch = there.next();
                    VectorSchemaRoot plain = utc.next()) {
                for (int i = 0; i < columns.length; i++) {
                    String zone = ((ArrowType.Timestamp) batch.getVector(i).getField().getType()).getTimezone();
                    check(i == 2 ? zone == null : zone.equals("Asia/Shanghai"), zone);
                    TimeStampVector got = (TimeStampVector) batch.getVector(i);
                    TimeStampVector expected = (TimeStampVector) plain.getVector(i);
                    for (int row = 0; row < 4; row++) {
                        check(got.isNull(row) == (row == 2) && (got.isNull(row) || got.get(row) == expected.get(row)), columns[i]);
                    }
                }
            }
        });
        scenario("lz4", () -> read(lineitem().set("read.compression", "lz4")).isLineitem());
        scenario("zstd", () -> read(lineitem().set("read.compression", "zstd")).isLineitem());
        scenario("batch_rows", () -> {
            Tally all = read(table("orders").columns("o_orderkey").set("read.batch_rows", 100));
            check(all.rows == 15000 && all.longest <= 100, all);
            try (Options options = table("orders").columns("o_orderkey").splitByCount(1); ReadSession session = open(options);
                    SplitReader split = session.openSplit(0, MEMORY); Scan scan = session.openScan(MEMORY)) {
                for (long[] limit : new long[][] {{5, 0, 5, 5}, {2, 0, 2, 2}, {0, 80, 1, 10}, {0, 0, 100, 1 << 20}}) {
                    split.setBatchLimits(limit[0], limit[1]);
                    scan.setBatchLimits(limit[0], limit[1]);
                    try (VectorSchemaRoot one = split.next(); Scan.Batch other = scan.next()) {
                        int rows = one.getRowCount();
                        int others = other.rows().getRowCount();
                        check(rows >= limit[2] && rows <= limit[3] && others >= limit[2] && others <= limit[3], rows + " " + others);
                    }
                }
            }
        });
        scenario("row_range", () -> {
            try (Options options = table("ramp").splitByCount(1); ReadSession session = open(options);
                    Options range = new Options().set("read.start_row", 1000).set("read.row_count", 500);
                    SplitReader split = session.openSplit(0, range, MEMORY)) {
                Tally some = new Tally().drain(split);
                check(some.rows == 500 && some.sum == 500 * (1000 + 1499) / 2 && split.rowsDelivered() == 500, some);
            }
        });
        scenario("empty_table", () -> check(read(table("empty")).batches == 0, "batches"));
        scenario("protocol_2", () -> read(lineitem().set("protocol", 2)).isLineitem());
        scenario("token", () -> {
            byte[] token;
            try (Options options = lineitem(); ReadSession session = open(options)) {
                token = session.token();
            }
            try (Options options = options(); MaxStorageClient other = MaxStorageClient.open(options); ReadSession session = other.attach(token)) {
                readAll(session, null).isLineitem();
            }
            ByteArrayOutputStream sent = new ByteArrayOutputStream();
            try (Options options = lineitem(); ReadSession session = open(options); ObjectOutputStream stream = new ObjectOutputStream(sent)) {
                stream.writeLong(session.splits());
                for (long index = 0; index < session.splits(); index++) {
                    stream.writeObject(session.splitToken(index));
                }
            }
            Tally all = new Tally();
            try (ObjectInputStream stream = new ObjectInputStream(new ByteArrayInputStream(sent.toByteArray()));
                    Options options = options(); MaxStorageClient worker = MaxStorageClient.open(options)) {
                for (long left = stream.readLong(); left > 0; left--) {
                    try (SplitReader split = worker.openSplit((SplitToken) stream.readObject(), null, MEMORY)) {
                        all.drain(split);
                    }
                }
            }
            all.isLineitem();
        });
        scenario("json_token", () -> {
            try (Options options = lineitem(); MaxStorageClient client = MaxStorageClient.open(options); ReadSession session = client.read(options)) {
                String token = session.tokenJson();
                try (ReadSession again = client.attach("{\n \"@type\" : \"split\" , " + token.substring(1))) {
                    readAll(again, null).isLineitem();
                }
                failure(Status.INVALID_ARGUMENT, () -> client.attach(token.replace("lineitem", "lineitex")));
            }
        });
        scenario("damaged_token", () -> {
            try (Options options = table("nation"); MaxStorageClient client = MaxStorageClient.open(options); ReadSession session = client.read(options)) {
                byte[] token = session.token();
                token[token.length / 2] ^= 1;
                failure(Status.INVALID_ARGUMENT, () -> client.attach(token));
            }
        });
        scenario("scan_unordered", () -> scanWith(1, false));
        scenario("scan_ordered", () -> scanWith(1, true));
        scenario("scan_threads", () -> scanWith(4, false));
        scenario("stream", () -> {
            try (Options options = lineitem(); ReadSession session = open(options); Scan scan = session.openScan(MEMORY); ArrowReader reader = scan.intoArrowReader()) {
                Tally all = new Tally();
                while (reader.loadNextBatch()) {
                    all.add(reader.getVectorSchemaRoot());
                }
                all.isLineitem();
            }
            try (SplitReader split = oneSplit("fault_stall")) {
                cancelled(split::next, () -> {
                    try {
                        split.intoArrowReader();
                    } catch (MaxStorageException busy) {
                        check(busy.code() == Status.BUSY, busy);
                        split.cancel(); // a reader that could not be used up is still this one
                    }
                });
            }
        });
        scenario("batches_outlive_owners", () -> {
            VectorSchemaRoot batch;
            try (SplitReader split = oneSplit("nation")) {
                batch = split.next();
            }
            try (VectorSchemaRoot kept = batch) {
                Tally all = new Tally();
                all.add(kept);
                check(all.rows == 25 && all.sum == 300, all);
            }
        });
        scenario("no_copy", () -> {
            try (SplitReader split = oneSplit("nation")) {
                check(maxstorage.Addresses.stay(split, MEMORY), "a copy");
            }
        });
    }

    /** Takes batches until the end without blocking in the library. */
    private static <B> void poll(Supplier<Attempt<B>> next, Semaphore ready, Function<B, VectorSchemaRoot> rows, Tally all) throws InterruptedException {
        for (Attempt<B> attempt = next.get(); attempt.isPending() || attempt.batch() != null; attempt = next.get()) {
            if (attempt.isPending()) {
                check(ready.tryAcquire(10, TimeUnit.SECONDS), "no wake");
            } else {
                try (VectorSchemaRoot batch = rows.apply(attempt.batch())) {
                    all.add(batch);
                }
            }
        }
    }

    private static List<String> names(Schema schema) {
        List<String> names = new ArrayList<>();
        for (Field field : schema.getFields()) {
            names.add(field.getName());
        }
        return names;
    }

    private static void scanWith(int threads, boolean ordered) throws Exception {
        try (Options options = lineitem().splitByRows(5000).set("scan.ordered", ordered); ReadSession session = open(options);
                Scan scan = session.openScan(options, MEMORY)) {
            Tally all = new Tally();
            AtomicReference<Throwable> trouble = new AtomicReference<>();
            List<Thread> takers = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                Thread taker = new Thread(() -> {
                    long last = -1;
                    try {
                        for (Scan.Batch batch = scan.next(); batch != null; batch = scan.next()) {
                            try (Scan.Batch taken = batch) {
                                check(!ordered || taken.split() >= last, "order");
                                last = taken.split();
                                all.add(taken.rows());
                            }
                        }
                    } catch (Throwable failure) {
                        trouble.set(failure);
                    }
                });
                taker.start();
                takers.add(taker);
            }
            for (Thread taker : takers) {
                taker.join();
            }
            check(trouble.get() == null, trouble.get());
            all.isLineitem();
        }
    }

    // -------------------------------------------------------------------------------------- without blocking, and cancelling

    private static void waiting() {
        scenario("polling", () -> {
            try (Options options = lineitem().splitByCount(4); ReadSession session = open(options)) {
                Tally all = new Tally();
                for (long i = 0; i < session.splits(); i++) {
                    Semaphore ready = new Semaphore(0);
                    try (SplitReader split = session.openSplit(i, MEMORY)) {
                        split.setWaker(ready::release);
                        poll(split::tryNext, ready, rows -> rows, all);
                        split.setWaker(null);
                    }
                }
                all.isLineitem();
            }
        });
        scenario("scan_polling", () -> {
            try (Options options = lineitem().splitByCount(4); ReadSession session = open(options); Scan scan = session.openScan(MEMORY)) {
                Tally all = new Tally();
                Semaphore ready = new Semaphore(0);
                Semaphore former = new Semaphore(0);
                scan.setWaker(former::release);
                scan.setWaker(ready::release);
                int calls = former.availablePermits();
                poll(scan::tryNext, ready, Scan.Batch::rows, all);
                check(former.availablePermits() == calls, "the former waker was called");
                all.isLineitem();
            }
        });
        scenario("cancel_wakes", () -> {
            try (SplitReader split = oneSplit("fault_stall")) {
                cancelled(split::next, split::cancel);
            }
        });
        scenario("cancel_stays", () -> {
            try (SplitReader split = oneSplit("nation")) {
                split.cancel();
                for (int i = 0; i < 3; i++) {
                    failure(Status.CANCELLED, split::next);
                }
            }
        });
        scenario("cancel_scan", () -> {
            try (Options options = table("fault_stall"); ReadSession session = open(options); Scan scan = session.openScan(MEMORY)) {
                cancelled(scan::next, scan::cancel);
            }
        });
        scenario("cancel_planning", () -> {
            try (Options options = table("fault_plan"); MaxStorageClient client = MaxStorageClient.open(options); Canceller canceller = new Canceller()) {
                cancelled(() -> client.read(options, null, canceller), canceller::cancel);
            }
        });
        scenario("cancel_reads", () -> {
            try (Options options = table("nation"); ReadSession session = open(options); Canceller canceller = new Canceller();
                    SplitReader split = session.openSplit(0, MEMORY); SplitReader late = session.openSplit(0, MEMORY); Scan scan = session.openScan(MEMORY)) {
                canceller.add(split);
                canceller.add(scan);
                canceller.cancel();
                canceller.add(late);
                failure(Status.CANCELLED, split::next);
                failure(Status.CANCELLED, late::next);
                failure(Status.CANCELLED, scan::next);
            }
        });
        scenario("calls_end", () -> {
            try (Options options = table("nation"); Options slow = table("fault_plan"); MaxStorageClient client = MaxStorageClient.open(options);
                    ReadSession session = client.read(options); Canceller canceller = new Canceller();
                    MaxStorageClient bounded = client.withCancel(canceller)) {
                canceller.setTimeout(Duration.ofMillis(200));
                failure(Status.DEADLINE_EXCEEDED, () -> bounded.read(slow));
                failure(Status.DEADLINE_EXCEEDED, () -> bounded.tables(null, null, null, MEMORY));
                failure(Status.DEADLINE_EXCEEDED, () -> session.refresh(canceller));
                canceller.setTimeout(null);
                bounded.tableSchema("nation", MEMORY);
                canceller.cancel();
                failure(Status.CANCELLED, () -> bounded.tables(null, null, null, MEMORY));
                failure(Status.CANCELLED, () -> session.refresh(canceller));
                client.tables(null, null, null, MEMORY).close();
                session.refresh();
            }
        });
        scenario("deadline", () -> {
            try (SplitReader split = oneSplit("fault_stall")) {
                split.setTimeout(Duration.ofMillis(200));
                failure(Status.DEADLINE_EXCEEDED, split::next);
                split.cancel();
                failure(Status.CANCELLED, split::next);
            }
            try (Options options = table("fault_stall"); ReadSession session = open(options); Scan scan = session.openScan(MEMORY)) {
                for (int i = 0; i < 2; i++) {
                    failure(Status.DEADLINE_EXCEEDED, () -> scan.nextWithin(Duration.ofMillis(100)));
                }
                scan.cancel();
                failure(Status.CANCELLED, scan::next);
            }
        });
    }

    /** No predicate is made of a list whose values are of different types. */
    private static void refused(Object... values) {
        try (Predicate changed = Predicate.in("id", values)) {
            check(false, changed);
        } catch (IllegalArgumentException | ClassCastException expected) {
            return;
        }
    }

    private static void cancelled(Supplier<Object> next, Runnable cancel) throws Exception {
        CountDownLatch woke = new CountDownLatch(1);
        AtomicReference<Throwable> outcome = new AtomicReference<>();
        new Thread(() -> {
            try {
                next.get();
            } catch (Throwable failure) {
                outcome.set(failure);
            }
            woke.countDown();
        }).start();
        Thread.sleep(200);
        cancel.run();
        check(woke.await(1, TimeUnit.SECONDS), "not within a second");
        check(outcome.get() instanceof MaxStorageException && ((MaxStorageException) outcome.get()).code() == Status.CANCELLED, outcome.get());
    }

    // ----------------------------------------------------------------------------------------------------------------- faults

    private static void faults() {
        scenario("resume", () -> {
            try (SplitReader split = oneSplit("fault_cut")) {
                Tally all = new Tally().drain(split);
                check(all.rows == RAMP_ROWS && all.sum == RAMP_SUM && split.metrics().get("resumes") == 1, all);
            }
        });
        scenario("throttled", () -> {
            try (SplitReader split = oneSplit("fault_throttle")) {
                check(new Tally().drain(split).rows == RAMP_ROWS && split.metrics().get("requests") == 2, split.metrics());
            }
        });
        scenario("timeout", () -> check(failure(Status.TIMEOUT, () -> table("fault_stall").set("read_idle_timeout_ms", 300).set("retry.max_attempts", 1)).isRetryable(), "retry"));
        scenario("corrupt", () -> {
            MaxStorageException failure = failure(Status.CORRUPT_DATA, () -> table("fault_corrupt"));
            check(!failure.isRetryable() && !failure.requestId().isEmpty(), failure);
        });
        scenario("schema_mismatch", () -> failure(Status.SCHEMA_MISMATCH, () -> table("fault_schema")));
        scenario("expired", () -> failure(Status.SESSION_EXPIRED, () -> table("fault_expired")));
        scenario("refresh", () -> {
            try (Options options = table("nation"); ReadSession session = open(options)) {
                long before = session.expiresAtMs();
                session.refresh();
                check(session.expiresAtMs() >= before, before);
            }
        });
    }

    // --------------------------------------------------------------------------------------------------- failures of the caller

    private static void mistakes() {
        scenario("unknown_option", () -> {
            try (Options options = options()) {
                check(failure(Status.INVALID_OPTION, () -> options.set("tabel", "x")).sentence().contains("table"), "sentence");
            }
        });
        scenario("missing_table", () -> {
            MaxStorageException failure = failure(Status.NOT_FOUND, () -> table("no_such_table"));
            check(failure.httpStatus() == 404 && !failure.requestId().isEmpty() && !failure.serverCode().isEmpty(), failure);
            check(failure.json().contains("MS_NOT_FOUND") && failure.json().contains(failure.requestId()), failure.json());
        });
        scenario("wrong_secret", () -> failure(Status.UNAUTHENTICATED, () -> table("nation").accessKey("local", "wrong")));
        scenario("quota_denied", () -> failure(Status.QUOTA_DENIED, () -> table("nation").set("quota", "pay-as-you-go")));
        scenario("view", () -> failure(Status.TABLE_KIND_UNSUPPORTED, () -> table("view_of_nation")));
        scenario("nobody_listens", () -> {
            MaxStorageException failure = failure(Status.CONNECTION, () -> table("nation").endpoint("http://127.0.0.1:1/api").set("retry.max_attempts", 2));
            check(failure.isRetryable() && failure.attempts() == 2, failure);
        });
        scenario("bad_filter", () -> failure(Status.INVALID_ARGUMENT, () -> table("nation").set("filter.text", "n_name >>> (")));
    }

    // ------------------------------------------------------------------------------------------------------------- predicates

    private static void predicates() {
        scenario("filter_text", () -> check(read(table("ramp").set("filter.text", "id >= 1000 and id < 1010").set("filter.exact", true)).rows == 10, "rows"));
        scenario("compare", () -> {
            Tally all = readWhere(Predicate.compare("id", Op.GE, 3990));
            check(all.rows == 10 && all.sum == 39945, all);
            check(readWhere(Predicate.compare("c_decimal", Op.EQ, new BigDecimal("-500.00"))).rows == 1, "decimal");
            check(readWhere(Predicate.compare("c_date", Op.LT, LocalDate.EPOCH)).rows > 0, "date");
        });
        scenario("in_list", () -> {
            check(readWhere(Predicate.in("id", 1, 2, null, 5000)).rows == 2, "rows");
            check(readWhere(Predicate.in("id", 1.0, 2)).rows == 2, "rows");
            refused(1, 2.5);
            refused(1, "2");
            refused(1.5, new BigDecimal("0.1"));
            refused(true, 2);
            try (Predicate fine = Predicate.compare("at", Op.EQ, Instant.ofEpochSecond(1, 123_456_789))) {
                check(fine.toString().contains("123456789"), fine);
            }
        });
        scenario("combined", () -> {
            try (Predicate low = Predicate.compare("id", Op.LT, 10); Predicate high = Predicate.compare("id", Op.GE, 3990);
                    Predicate ends = Predicate.or(low, high); Predicate none = Predicate.isNull("c_int"); Predicate some = none.not()) {
                check(readWhere(Predicate.and(ends, some)).rows == 18, "rows");
            }
        });
        scenario("substrait", () -> {
            byte[] message = new BigInteger(SUBSTRAIT, 16).toByteArray();
            try (Predicate filter = Predicate.fromSubstrait(message)) {
                Tally all = readWhere(filter);
                check(all.rows == 10 && all.sum == 39945, all);
            }
            failure(Status.INVALID_ARGUMENT, () -> {
                Predicate.fromSubstrait(Arrays.copyOfRange(message, 1, message.length));
            });
        });
        scenario("runtime_filter", () -> {
            try (SplitReader split = oneSplit("ramp"); Predicate filter = Predicate.compare("id", Op.GE, 3990)) {
                split.addFilter(filter);
                Tally all = new Tally().drain(split);
                check(all.rows == 10 && all.sum == 39945, all);
            }
        });
    }

    // ------------------------------------------------------------------------------------------------ catalogue and diagnosis

    /** Every row of a list, as text by column. */
    private static List<Map<String, String>> rows(ArrowReader list) throws IOException {
        List<Map<String, String>> rows = new ArrayList<>();
        try (ArrowReader reader = list) {
            while (reader.loadNextBatch()) {
                VectorSchemaRoot batch = reader.getVectorSchemaRoot();
                for (int row = 0; row < batch.getRowCount(); row++) {
                    Map<String, String> texts = new HashMap<>();
                    for (FieldVector column : batch.getFieldVectors()) {
                        texts.put(column.getName(), String.valueOf(column.getObject(row)));
                    }
                    rows.add(texts);
                }
            }
        }
        return rows;
    }

    private interface Ask {
        void of(MaxStorageClient client) throws Exception;
    }

    private static void with(Options options, Ask ask) throws Exception {
        try (options; MaxStorageClient client = MaxStorageClient.open(options)) {
            ask.of(client);
        }
    }

    private static void catalogue() {
        scenario("tables", () -> with(options(), client -> {
            long found = rows(client.tables(null, "default", null, MEMORY)).stream()
                    .filter(row -> row.get("table").equals("lineitem") || row.get("table").equals("parted"))
                    .count();
            check(found == 2, found);
        }));
        scenario("table_schema", () -> with(options(), client -> {
            Schema schema = client.tableSchema("parted", MEMORY);
            check(names(schema).equals(List.of("id", "note", "ds", "region")), schema);
            check(schema.findField("id").getMetadata().get("maxcompute.type").equals("bigint"), schema);
            check(schema.findField("ds").getMetadata().get("maxcompute.partition_key").equals("true"), schema);
        }));
        scenario("table_details", () -> with(options(), client -> {
            Map<String, String> details = rows(client.tableDetails("clustered", MEMORY)).get(0);
            check(details.get("kind").equals("table") && details.get("cluster_kind").equals("hash") && details.get("buckets").equals("8"), details);
        }));
        scenario("partitions_listed", () -> with(options(), client -> {
            check(rows(client.partitions("parted", null, MEMORY)).size() == 3, "partitions");
            try (Predicate second = Predicate.compare("ds", Op.EQ, "20260102")) {
                check(rows(client.partitions("parted", second, MEMORY)).size() == 1, "one partition");
            }
        }));
        scenario("preview", () -> with(options(), client -> check(rows(client.preview("nation", 5, null, MEMORY)).size() == 5, "rows")));
        scenario("explain", () -> {
            try (Options options = table("ramp").splitByRows(1500).set("filter.text", "id >= 1000"); ReadSession session = open(options)) {
                check(session.explain().contains("\"split_count\":3") && session.explain().contains("EXACT"), session.explain());
                check(session.splitInfo(2).startRow() == 3000 && session.splitInfo(2).rows() == 1000, "split");
            }
        });
        scenario("diagnose", () -> {
            with(options(), client -> {
                List<Map<String, String>> good = rows(client.diagnose("nation", MEMORY));
                check(good.size() == 10 && good.stream().allMatch(row -> row.get("status").equals("ok") || row.get("status").equals("skipped")), good);
            });
            with(options().accessKey("local", "wrong"), client -> {
                for (Map<String, String> row : rows(client.diagnose("nation", MEMORY))) {
                    check(row.get("status").equals("failed") == row.get("step").equals("signature"), row);
                }
            });
        });
    }

    // ----------------------------------------------------------------------------------------------------------------- around

    private static void around() {
        scenario("metrics", () -> {
            try (Options options = table("nation").splitByCount(1); ReadSession session = open(options)) {
                for (int times = 0; times < 2; times++) {
                    try (SplitReader split = session.openSplit(0, MEMORY)) {
                        new Tally().drain(split);
                        check(split.metrics().get("rows") == 25 && split.metrics().get("bytes_wire") > 0 && split.allRequested(), split.metrics());
                    }
                }
                check(session.metrics().get("rows") == 50 && session.metrics().get("reads") == 2, session.metrics());
            }
        });
        scenario("log", () -> {
            AtomicInteger records = new AtomicInteger();
            MaxStorage.setLog(4, (level, target, message) -> records.incrementAndGet());
            read(table("nation"));
            MaxStorage.setLog(0, null);
            int seen = records.get();
            read(table("nation"));
            check(seen > 0 && records.get() == seen, seen);
        });
        scenario("memory_budget", () -> {
            try (Options options = lineitem().set("limits.memory_bytes", 8 << 20); MaxStorageClient client = MaxStorageClient.open(options);
                    ReadSession session = client.read(options); Scan scan = session.openScan(MEMORY)) {
                Tally all = new Tally();
                for (Scan.Batch batch = scan.next(); batch != null; batch = scan.next()) {
                    try (Scan.Batch taken = batch) {
                        all.add(taken.rows());
                    }
                }
                all.isLineitem();
                long peak = client.metrics().get("memory_peak");
                check(peak > 0 && peak <= 12 << 20, peak);
            }
        });
        scenario("credentials_provider", () -> {
            AtomicInteger asked = new AtomicInteger();
            try (Options options = table("nation").accessKey("", "")) {
                options.credentialsProvider(() -> {
                    asked.incrementAndGet();
                    return new Options.Credentials("local", "local");
                });
                try (ReadSession session = open(options)) {
                    check(readAll(session, null).rows == 25 && asked.get() > 0, asked);
                }
            }
        });
        scenario("bearer_token", () -> {
            try (Options options = table("nation").accessKey("", "")) {
                options.credentialsProvider(() -> Options.Credentials.bearer("conformance", Instant.now().plusSeconds(3600)));
                try (ReadSession session = open(options)) {
                    check(readAll(session, null).rows == 25, "rows");
                }
            }
        });
        scenario("options_described", () -> {
            Map<String, String> described = new HashMap<>();
            try (Options options = options(); ArrowReader reader = options.describe(MEMORY)) {
                while (reader.loadNextBatch()) {
                    VectorSchemaRoot batch = reader.getVectorSchemaRoot();
                    for (int i = 0; i < batch.getRowCount(); i++) {
                        Object value = batch.getVector("value").getObject(i);
                        described.put(batch.getVector("key").getObject(i).toString(), value != null ? value.toString() : "default");
                    }
                }
            }
            check("local".equals(described.get("project")) && "***".equals(described.get("access_key_secret")) && "default".equals(described.get("table")), described);
        });
        scenario("memory_hooks", () -> {
            AtomicLong held = new AtomicLong();
            AtomicLong asked = new AtomicLong();
            LongPredicate reserve = bytes -> {
                asked.incrementAndGet();
                held.addAndGet(bytes);
                return true;
            };
            read(lineitem().memoryHooks(reserve, bytes -> held.addAndGet(-bytes))).isLineitem();
            check(asked.get() > 0, "nobody was asked");
            for (int i = 0; i < 5000 && held.get() != 0; i++) {
                Thread.sleep(1); // a reader may be about to end
            }
            check(held.get() == 0, held);
        });
        scenario("memory_refused", () -> {
            AtomicLong released = new AtomicLong();
            failure(Status.RESOURCE_EXHAUSTED, () -> table("nation").memoryHooks(bytes -> false, released::addAndGet));
            failure(Status.RESOURCE_EXHAUSTED, () -> table("nation").memoryHooks(bytes -> {
                throw new IllegalStateException("counts as a refusal");
            }, released::addAndGet));
            check(released.get() == 0, released);
        });
        scenario("shutdown", () -> {
            try (Options options = options(); MaxStorageClient client = MaxStorageClient.open(options)) {
                failure(Status.WRONG_STATE, () -> MaxStorage.shutdown(0));
                client.metrics(); // it is still there
            }
            MaxStorage.shutdown(10_000);
            check(read(table("nation")).rows == 25, "rows");
        });
        scenario("forgotten_handles", () -> { // besides the common list: a cleaner frees them
            forget();
            check(MaxStorage.liveHandles() > 0, "nothing was opened");
            for (int i = 0; i < 1000 && MaxStorage.liveHandles() != 0; i++) {
                System.gc();
                Thread.sleep(10);
            }
        });
        scenario("nothing_left", () -> check(MaxStorage.liveHandles() == 0, MaxStorage.liveHandles()));
    }

    @SuppressWarnings("resource")
    private static void forget() {
        Options options = table("nation");
        ReadSession session = MaxStorageClient.open(options).read(options, Predicate.isNotNull("n_name"), new Canceller());
        session.openScan(MEMORY).setWaker(() -> {});
        session.openSplit(0, MEMORY).setWaker(() -> {});
    }

    /** Runs all of them. */
    public static void main(String[] arguments) {
        System.out.println("  " + MaxStorage.backend() + " on Java " + Runtime.version());
        check(arguments.length == 0 || arguments[0].equals(MaxStorage.backend()), "not the backend that was asked for");
        reading();
        waiting();
        faults();
        mistakes();
        predicates();
        catalogue();
        around();
        System.out.println(passed + " passed, " + failed + " failed, 0 skipped");
        System.exit(failed == 0 ? 0 : 1);
    }
}
