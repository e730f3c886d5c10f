using System.Diagnostics;
using System.Globalization;

namespace Skep.Fuzz;

/// <summary>Says once a second how far a run is, and at the end how fast it was.</summary>
internal sealed class Progress(string what, long total, string things = "packets")
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private long _last = Stopwatch.GetTimestamp();

    /// <summary>To be called now and then with what is done.</summary>
    public void Report(long done)
    {
        if (Stopwatch.GetElapsedTime(_last) >= TimeSpan.FromSeconds(1))
        {
            _last = Stopwatch.GetTimestamp();
            Write(done);
        }
    }

    /// <summary>The last word.</summary>
    public void Finish(long done, string result)
    {
        Write(done);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {result}"));
    }

    private void Write(long done)
    {
        var rate = done / Math.Max(Stopwatch.GetElapsedTime(_start).TotalSeconds, 1e-6);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {done} of {total} {things}, {rate:0} {things}/s"));
    }
}
