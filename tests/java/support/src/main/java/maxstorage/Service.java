package maxstorage;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A running maxstorage-server: the one that tests/java/run started with all tables, or one of a test's own, which ends with it. */
public final class Service implements AutoCloseable {
  private final String address;
  private final Process process;
  private final Path root;

  private Service(String address, Process process, Path root) {
    this.address = address;
    this.process = process;
    this.root = root;
  }

  /** The service that all tests share. */
  public static Service shared() {
    return new Service(environment("MS_TEST_ADDRESS"), null, null);
  }

  /** A service over an empty root. */
  public static Service start(String... arguments) {
    try {
      Path root = Files.createTempDirectory("maxstorage-java-");
      List<String> command = new ArrayList<>(List.of(environment("MS_TEST_SERVER"), "serve", "--root", root.toString()));
      command.addAll(List.of(arguments));
      Process process = new ProcessBuilder(command).redirectError(root.resolve("log").toFile()).start();
      BufferedReader output = process.inputReader();
      String ready = output.readLine();
      if (ready == null || !ready.startsWith("ready http")) {
        throw new IllegalStateException("the service did not start: " + Files.readString(root.resolve("log")));
      }
      return new Service(ready.substring("ready ".length()).trim(), process, root);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Where metadata, SQL and endpoint discovery are. */
  public String endpoint() {
    return address + "/api";
  }

  /** Where data is; what discovery answers. */
  public String tunnelEndpoint() {
    return address;
  }

  @Override
  public void close() {
    if (process == null) {
      return;
    }
    process.destroy();
    try {
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
      try (var files = Files.walk(root)) {
        files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static String environment(String name) {
    String value = System.getenv(name);
    if (value == null) {
      throw new IllegalStateException(name + " is not set; tests/java/run sets it");
    }
    return value;
  }
}
