package maxstorage;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.util.Arrays;
import java.util.Objects;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.BitVector;
import org.apache.arrow.vector.DateDayVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.Float8Vector;
import org.apache.arrow.vector.TimeStampMicroTZVector;
import org.apache.arrow.vector.TimeStampNanoTZVector;
import org.apache.arrow.vector.VarBinaryVector;
import org.apache.arrow.vector.VarCharVector;

/** Values of Java as a vector of Arrow. */
final class Literals {
    private static final int MOST_DIGITS = 38;

    private Literals() {}

    private interface Setter {
        void set(int index, Object value);
    }

    /** The first value that is not null decides the type. */
    static FieldVector vector(Object[] values, BufferAllocator allocator) {
        Object first = Arrays.stream(values).filter(Objects::nonNull).findFirst().orElse(0L);
        if (isWhole(first)) {
            BigIntVector vector = new BigIntVector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, whole(value)));
        }
        if (isReal(first)) {
            Float8Vector vector = new Float8Vector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, isReal(value) ? ((Number) value).doubleValue() : whole(value)));
        }
        if (first instanceof Boolean) {
            BitVector vector = new BitVector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, (Boolean) value ? 1 : 0));
        }
        if (first instanceof String) {
            VarCharVector vector = new VarCharVector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, ((String) value).getBytes(StandardCharsets.UTF_8)));
        }
        if (first instanceof byte[]) {
            VarBinaryVector vector = new VarBinaryVector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, (byte[]) value));
        }
        if (first instanceof BigDecimal) {
            int scale = Arrays.stream(values).filter(Objects::nonNull).mapToInt(value -> ((BigDecimal) value).scale()).max().orElse(0);
            int digits = Math.max(scale, 0);
            DecimalVector vector = new DecimalVector("", allocator, MOST_DIGITS, digits);
            return fill(vector, values, (i, value) -> vector.setSafe(i, ((BigDecimal) value).setScale(digits)));
        }
        if (first instanceof LocalDate) {
            DateDayVector vector = new DateDayVector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, Math.toIntExact(((LocalDate) value).toEpochDay())));
        }
        if (first instanceof Instant) {
            if (Arrays.stream(values).anyMatch(value -> value instanceof Instant && ((Instant) value).getNano() % 1000 != 0)) {
                TimeStampNanoTZVector vector = new TimeStampNanoTZVector("", allocator, "UTC");
                return fill(vector, values, (i, value) -> vector.setSafe(i, since((Instant) value, 1_000_000_000)));
            }
            TimeStampMicroTZVector vector = new TimeStampMicroTZVector("", allocator, "UTC");
            return fill(vector, values, (i, value) -> vector.setSafe(i, since((Instant) value, 1_000_000)));
        }
        throw new IllegalArgumentException(first.getClass().getName() + " is no literal of a predicate; use a vector of arrow-java");
    }

    private static boolean isWhole(Object value) {
        return value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte;
    }

    private static boolean isReal(Object value) {
        return value instanceof Double || value instanceof Float;
    }

    /** Refuses what would lose a part. */
    private static long whole(Object value) {
        if (!isWhole(value)) {
            throw new IllegalArgumentException(value + " is no whole number, as others of its list");
        }
        return ((Number) value).longValue();
    }

    /** Units since 1970; no part of the time is lost. */
    private static long since(Instant time, long unitsPerSecond) {
        return Math.addExact(Math.multiplyExact(time.getEpochSecond(), unitsPerSecond), time.getNano() * unitsPerSecond / 1_000_000_000);
    }

    private static FieldVector fill(FieldVector vector, Object[] values, Setter setter) {
        try {
            vector.allocateNew();
            for (int i = 0; i < values.length; i++) {
                if (values[i] != null) {
                    setter.set(i, values[i]);
                }
            }
            vector.setValueCount(values.length);
            return vector;
        } catch (RuntimeException failure) {
            vector.close();
            throw failure;
        }
    }
}
