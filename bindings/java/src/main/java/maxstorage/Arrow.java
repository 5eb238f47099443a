package maxstorage;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.CDataDictionaryProvider;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.Schema;

/** What the library made, as Java has it. */
final class Arrow {
    private Arrow() {}

    static Schema schema(BufferAllocator allocator, ArrowSchema schema) {
        try (CDataDictionaryProvider dictionaries = new CDataDictionaryProvider()) {
            return Data.importSchema(allocator, schema, dictionaries);
        }
    }

    /** A batch over the buffers of the library; null if the array is empty, as at the end of the data. */
    static VectorSchemaRoot batch(BufferAllocator allocator, ArrowArray array, Schema schema) {
        if (array.snapshot().release == 0) {
            return null;
        }
        for (Field field : schema.getFields()) {
            if (field.getDictionary() != null) {
                array.release();
                throw new UnsupportedOperationException("column " + field.getName()
                    + " is a dictionary (types.dictionary), and each batch has its own: read with intoArrowReader(), which has a place for them");
            }
        }
        VectorSchemaRoot root = VectorSchemaRoot.create(schema, allocator);
        try (CDataDictionaryProvider dictionaries = new CDataDictionaryProvider()) {
            Data.importIntoVectorSchemaRoot(allocator, array, root, dictionaries);
            return root;
        } catch (RuntimeException failure) {
            root.close();
            throw failure;
        }
    }

    /** The figures by name, and frees them. */
    static Map<String, Long> metrics(long figures) {
        try {
            Map<String, Long> all = new LinkedHashMap<>();
            for (long i = 0; i < Call.LIBRARY.ms_metrics_count(figures); i++) {
                all.put(Call.string(Call.LIBRARY.ms_metrics_name(figures, i)), Call.LIBRARY.ms_metrics_value(figures, i));
            }
            return all;
        } finally {
            Call.LIBRARY.ms_metrics_free(figures);
        }
    }

    /** A copy of bytes, and frees them. */
    static byte[] bytes(long bytes) {
        try {
            return Backend.CURRENT.bytes(Call.LIBRARY.ms_bytes_data(bytes), Call.LIBRARY.ms_bytes_len(bytes));
        } finally {
            Call.LIBRARY.ms_bytes_free(bytes);
        }
    }
}
