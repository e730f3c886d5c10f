using System.Globalization;

namespace Skep.Bpf.Features;

/// <summary>Addresses of the running kernel's symbols (<c>/proc/kallsyms</c>).</summary>
internal static class KernelSymbols
{
    private static readonly Lazy<Dictionary<string, ulong>> s_running = new(() => Parse(File.ReadLines("/proc/kallsyms")));

    /// <summary>The address of a symbol, or null when there is none, or several, or the kernel hides it (CAP_SYSLOG, kptr_restrict).</summary>
    internal static ulong? AddressOf(string name) => s_running.Value.TryGetValue(name, out var address) && address != 0 ? address : null;

    /// <summary>Reads lines <c>address letter name [module]</c>. A name that stands for several addresses gets 0.</summary>
    internal static Dictionary<string, ulong> Parse(IEnumerable<string> lines)
    {
        var result = new Dictionary<string, ulong>();
        foreach (var line in lines)
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space <= 0 || line.Length < space + 4 || !ulong.TryParse(line.AsSpan(0, space), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var address))
            {
                continue;
            }

            var name = line.AsSpan(space + 3);
            var end = name.IndexOf('\t');
            var key = (end < 0 ? name : name[..end]).ToString();
            if (!result.TryAdd(key, address) && result[key] != address)
            {
                result[key] = 0;
            }
        }

        return result;
    }
}
