using System.Diagnostics;

namespace Skep.Fuzz;

/// <summary>Damaged files through the parsers: each is read, or refused by the exception that is documented.</summary>
internal static class FileFuzz
{
    // What a reader may take for a small file, whatever the file says; and how long before somebody should look.
    private const long MostBytes = 64L << 20;
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);

    /// <summary>Runs; false when a file was met by another exception, or took too much, with the file kept.</summary>
    public static bool Run(string name, FuzzOptions options)
    {
        var target = FileTarget.All.Single(t => t.Name == name);
        var mutator = new ByteMutator(target.Corpus, options.Seed);
        var progress = new Progress($"files {name}", options.Count, "files");
        var (read, refused) = (0L, 0L);
        for (long number = 0; number < options.Count; number++)
        {
            var file = mutator.Next();
            var (before, began) = (GC.GetAllocatedBytesForCurrentThread(), Stopwatch.GetTimestamp());
            try
            {
                target.Read(file);
                read++;
            }
            catch (Exception e) when (target.IsRefusal(e))
            {
                refused++;
            }
            catch (Exception problem)
            {
                Finding.Report(options, $"files {name}", number, file, problem.ToString());
                return false;
            }

            var (bytes, time) = (GC.GetAllocatedBytesForCurrentThread() - before, Stopwatch.GetElapsedTime(began));
            if (bytes > MostBytes || time > s_longest)
            {
                Finding.Report(options, $"files {name}", number, file, $"{file.Length} bytes took {bytes} bytes of memory and {time.TotalSeconds:0.0} s");
                return false;
            }

            if ((number & 0xFFF) == 0)
            {
                progress.Report(number);
            }
        }

        progress.Finish(options.Count, $"no other exception; {read} read, {refused} refused");
        return true;
    }
}
