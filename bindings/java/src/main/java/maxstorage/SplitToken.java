package maxstorage;

import java.io.Serializable;

/**
 * One split of a planned session, to be sent to the worker that reads it: as an {@code InputPartition} of Spark or a {@code SourceSplit} of Flink
 * holds it. It has no credentials. Made by {@link ReadSession#splitToken}, read by {@link MaxStorageClient#openSplit}; never changes.
 */
public final class SplitToken implements Serializable {
    private static final long serialVersionUID = 1;

    private final byte[] session;
    private final long index;

    /** A split of the session that {@link ReadSession#token} gave these bytes, which have all splits. */
    public SplitToken(byte[] session, long index) {
        this.session = session.clone();
        this.index = index;
    }

    /** What {@link MaxStorageClient#attach} takes. */
    public byte[] session() {
        return session.clone();
    }

    /** The number of the split. */
    public long index() {
        return index;
    }
}
