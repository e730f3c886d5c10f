using System.Collections.Frozen;
using System.Globalization;
using Skep.Bpf.Btf;

namespace Skep.Flows;

/// <summary>Names of drop reasons. The numbers differ from kernel to kernel, so they are read from the running one.</summary>
public sealed class DropReasons
{
    private const string Prefix = "SKB_DROP_REASON_";
    private readonly FrozenDictionary<uint, string> _names;

    /// <summary>Names by number.</summary>
    public DropReasons(IEnumerable<KeyValuePair<uint, string>> names) => _names = names.ToFrozenDictionary();

    /// <summary>The reasons of the running kernel; numbers only when it has no BTF or no reasons (before 5.17).</summary>
    public static DropReasons OfKernel(BtfFile? btf) => new(
        (btf?.Enumerators("skb_drop_reason") ?? []).DistinctBy(e => e.Value).Select(e => KeyValuePair.Create((uint)e.Value, Shorten(e.Name))));

    /// <summary>Name of a reason, for example <c>NO_SOCKET</c>; its number when it has none.</summary>
    public string NameOf(uint reason) => _names.TryGetValue(reason, out var name) ? name : reason.ToString(CultureInfo.InvariantCulture);

    private static string Shorten(string name) => name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
}
