using System.IO.Compression;

namespace Skep.Bpf.Features;

/// <summary>The options a kernel was built with, as <c>/proc/config.gz</c> and distributions have them.</summary>
public static class KernelConfiguration
{
    // A real one has about 300 kB; what claims to be larger is not read on.
    private const int LongestText = 1 << 24;

    private static readonly Lazy<IReadOnlyDictionary<string, string>> s_running = new(ReadRunning);

    /// <summary>Those of the running kernel; empty when they are nowhere to be found (CONFIG_IKCONFIG_PROC).</summary>
    public static IReadOnlyDictionary<string, string> Running => s_running.Value;

    /// <summary>Reads lines of the form <c>CONFIG_NAME=value</c>; others are skipped.</summary>
    public static IReadOnlyDictionary<string, string> Parse(TextReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var (options, length) = (new Dictionary<string, string>(), 0);
        while (reader.ReadLine() is { } line && (length += line.Length) < LongestText)
        {
            if (line.StartsWith("CONFIG_", StringComparison.Ordinal) && line.IndexOf('=', StringComparison.Ordinal) is > 0 and var at)
            {
                options[line[..at]] = line[(at + 1)..];
            }
        }

        return options;
    }

    private static IReadOnlyDictionary<string, string> ReadRunning()
    {
        var release = File.Exists("/proc/sys/kernel/osrelease") ? File.ReadAllText("/proc/sys/kernel/osrelease").Trim() : "";
        foreach (var path in (ReadOnlySpan<string>)[$"/boot/config-{release}", $"/lib/modules/{release}/config", "/proc/config.gz"])
        {
            try
            {
                if (File.Exists(path))
                {
                    using var file = File.OpenRead(path);
                    using Stream text = path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
                    using var reader = new StreamReader(text);
                    return Parse(reader);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
            {
                // The next place may have it.
            }
        }

        return new Dictionary<string, string>();
    }
}
