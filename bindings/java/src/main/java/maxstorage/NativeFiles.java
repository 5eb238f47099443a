package maxstorage;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;

/** The native libraries: those of the directory {@code maxstorage.library.dir}, else those that are packed in the jar. */
final class NativeFiles {
    private static final String[] NAMES = {"libmaxstorage.so.0", "libmaxstorage_jni.so"};
    private static final Path DIRECTORY = directory();

    private NativeFiles() {}

    static Path path(String name) {
        return DIRECTORY.resolve(name);
    }

    private static Path directory() {
        String named = System.getProperty("maxstorage.library.dir");
        return named != null ? Path.of(named).toAbsolutePath() : unpack();
    }

    /** Both libraries into one directory: the one for JNI looks for the other beside itself. */
    private static Path unpack() {
        String platform = platform();
        try {
            Path directory = Files.createTempDirectory("maxstorage-");
            directory.toFile().deleteOnExit();
            for (String name : NAMES) {
                try (InputStream packed = NativeFiles.class.getResourceAsStream("native/" + platform + "/" + name)) {
                    if (packed == null) {
                        throw new UnsatisfiedLinkError("this jar has no " + name + " for " + platform + "; name a directory by -Dmaxstorage.library.dir");
                    }
                    Path file = directory.resolve(name);
                    file.toFile().deleteOnExit(); // the reverse order: files go before their directory
                    Files.copy(packed, file, StandardCopyOption.REPLACE_EXISTING);
                }
            }
            return directory;
        } catch (IOException failure) {
            throw new UncheckedIOException("the native libraries cannot be unpacked", failure);
        }
    }

    private static String platform() {
        String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String processor = System.getProperty("os.arch");
        switch (processor) {
            case "amd64":
                processor = "x86_64";
                break;
            case "arm64":
                processor = "aarch64";
                break;
            default:
                break;
        }
        return system + "-" + processor;
    }
}
