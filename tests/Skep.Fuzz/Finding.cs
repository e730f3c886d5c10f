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

        Say(options, where, number, "packet", path, what);
    }

    /// <summary>As above, for a file.</summary>
    public static void Report(FuzzOptions options, string where, long number, byte[] file, string what)
    {
        var path = Path.Combine(options.Directory, $"fuzz-{where.Replace(' ', '-')}-{options.Seed}-{number}.bin");
        File.WriteAllBytes(path, file);
        Say(options, where, number, "file", path, what);
    }

    private static void Say(FuzzOptions options, string where, long number, string thing, string path, string what)
    {
        Console.Error.WriteLine($"{where}: {thing} {number} of seed {options.Seed}, kept in {path}");
        Console.Error.WriteLine(what);
    }
}
