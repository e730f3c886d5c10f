using Skep.Bpf.Twin.Captures;

namespace Skep.Fuzz;

/// <summary>Something a run found: said, and its packet kept.</summary>
internal static class Finding
{
    public static void Report(FuzzOptions options, string where, long number, ReadOnlySpan<byte> packet, string what)
    {
        var path = Path.Combine(options.Directory, $"fuzz-{where.Replace(' ', '-')}-{options.Seed}-{number}.pcap");
        using (var writer = CaptureWriter.Create(path))
        {
            writer.Write(0, packet);
        }

        Console.Error.WriteLine($"{where}: packet {number} of seed {options.Seed}, kept in {path}");
        Console.Error.WriteLine(what);
    }
}
