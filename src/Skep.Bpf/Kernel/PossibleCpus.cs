using System.Globalization;

namespace Skep.Bpf.Kernel;

/// <summary>Number of CPUs the kernel may ever have: the length of per-CPU values, which may exceed the CPUs that run.</summary>
internal static class PossibleCpus
{
    private static readonly Lazy<int> s_count = new(() => Parse(File.ReadAllText("/sys/devices/system/cpu/possible")));

    internal static int Count => s_count.Value;

    /// <summary>Parses a list such as <c>0-3,6</c>: the kernel sizes by the highest number.</summary>
    internal static int Parse(string list)
    {
        var last = list.AsSpan().Trim();
        last = last[(last.LastIndexOfAny(',', '-') + 1)..];
        return int.Parse(last, NumberStyles.None, CultureInfo.InvariantCulture) + 1;
    }
}
