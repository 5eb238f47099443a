package maxstorage;

/** What a split of a session covers; -1 and an empty text where it is not known. */
public final class SplitInfo {
    private final long rows;
    private final long startRow;
    private final long estimatedBytes;
    private final String partition;
    private final long bucket;
    private final double weight;

    /** Copies the facts and frees them. */
    SplitInfo(long info) {
        Functions library = Call.LIBRARY;
        try {
            rows = library.ms_split_info_rows(info);
            startRow = library.ms_split_info_start_row(info);
            estimatedBytes = library.ms_split_info_estimated_bytes(info);
            partition = Call.string(library.ms_split_info_partition(info));
            bucket = library.ms_split_info_bucket(info);
            weight = library.ms_split_info_weight(info);
        } finally {
            library.ms_split_info_free(info);
        }
    }

    /** The number of rows. */
    public long rows() {
        return rows;
    }

    /** The first row, in a session that is cut by rows. */
    public long startRow() {
        return startRow;
    }

    /** Stored bytes, as the service estimates them. */
    public long estimatedBytes() {
        return estimatedBytes;
    }

    /** The partition, {@code key=value/key=value}. */
    public String partition() {
        return partition;
    }

    /** The bucket of a clustered table. */
    public long bucket() {
        return bucket;
    }

    /** The share of the whole read, from 0 to 1. */
    public double weight() {
        return weight;
    }
}
