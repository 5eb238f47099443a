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
        if (first instanceof Long || first instanceof Integer || first instanceof Short || first instanceof Byte) {
            BigIntVector vector = new BigIntVector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, ((Number) value).longValue()));
        }
        if (first instanceof Double || first instanceof Float) {
            Float8Vector vector = new Float8Vector("", allocator);
            return fill(vector, values, (i, value) -> vector.setSafe(i, ((Number) value).doubleValue()));
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
            TimeStampMicroTZVector vector = new TimeStampMicroTZVector("", allocator, "UTC");
            return fill(vector, values, (i, value) -> vector.setSafe(i, micros((Instant) value)));
        }
        throw new IllegalArgumentException(first.getClass().getName() + " is no literal of a predicate; use a vector of arrow-java");
    }

    private static long micros(Instant time) {
        return Math.addExact(Math.multiplyExact(time.getEpochSecond(), 1_000_000L), time.getNano() / 1000);
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
