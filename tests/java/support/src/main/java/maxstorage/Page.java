package maxstorage;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** docs/sdk-conformance.md, and whether it names the public calls of a client's classes. */
public final class Page {
  private Page() {}

  /** The calls of a class that the section under a heading does not name. `name` is what the page calls the class. */
  public static Set<String> missing(String heading, Class<?> kind, String name) {
    Path page = Path.of(System.getProperty("maven.multiModuleProjectDirectory"), "../../docs/sdk-conformance.md");
    String section;
    try {
      section = Files.readString(page).split("\n## " + Pattern.quote(heading) + "\n")[1].split("\n## ")[0];
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Set<String> named = Pattern.compile("`([\\w.]+)`").matcher(section).results().map(match -> match.group(1)).collect(Collectors.toSet());
    Set<String> calls =
        Arrays.stream(kind.getDeclaredMethods())
            .filter(method -> Modifier.isPublic(method.getModifiers()) && !method.isSynthetic() && !asks(method))
            .map(method -> name + "." + method.getName())
            .collect(Collectors.toCollection(TreeSet::new));
    calls.removeAll(named);
    return calls;
  }

  /** Whether a method only tells what was set. */
  private static boolean asks(Method method) {
    return method.getName().matches("(get|is)[A-Z].*|builder|newBuilder") || method.getName().equals("build") && method.getParameterCount() == 0;
  }
}
