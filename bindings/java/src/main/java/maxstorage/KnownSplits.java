package maxstorage;

/** How many splits of a session are known; see {@link ReadSession#moreSplits}. */
public final class KnownSplits {
    private final long count;
    private final boolean complete;

    KnownSplits(long count, boolean complete) {
        this.count = count;
        this.complete = complete;
    }

    /** The number of splits, which are numbered from 0. */
    public long count() {
        return count;
    }

    /** Whether there are no others. */
    public boolean isComplete() {
        return complete;
    }
}
