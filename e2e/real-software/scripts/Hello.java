// Compiled and run in one go: threads, a hot loop for the compilers, and a child.
import java.util.stream.*;

public class Hello {
  static long collatz(long n) {
    long steps = 0;
    for (; n != 1; steps++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
  }

  public static void main(String[] args) throws Exception {
    System.out.println(IntStream.rangeClosed(1, 60000).parallel().mapToLong(Hello::collatz).sum());
    Thread[] threads = new Thread[8];
    long[] sums = new long[8];
    for (int i = 0; i < 8; i++) {
      int own = i;
      threads[i] = new Thread(() -> { for (int n = 1; n < 20000; n++) sums[own] += collatz(n); });
      threads[i].start();
    }
    for (Thread thread : threads) thread.join();
    System.out.println(LongStream.of(sums).distinct().count());
    Process child = new ProcessBuilder("sh", "-c", "tr a-z A-Z; exit 3").start();
    child.getOutputStream().write("from java\n".getBytes());
    child.getOutputStream().close();
    System.out.print(new String(child.getInputStream().readAllBytes()));
    System.out.println(child.waitFor());
    try { recurse(0); } catch (StackOverflowError error) { System.out.println("overflow"); }
    String nothing = null;
    try { nothing.length(); } catch (NullPointerException error) { System.out.println("null"); }
  }

  static int recurse(int n) { return 1 + recurse(n + 1); }
}
