using System.Globalization;
using System.Text.RegularExpressions;

namespace Skep.Bpf.Verification;

/// <summary>
/// Says in words what the verifier knew of registers: <c>R2_w=pkt(off=14,r=34)</c> is a pointer into the packet. Which registers is told by
/// the instruction and the complaint; words that are not known stay as they are.
/// </summary>
internal static partial class RegisterWords
{
    /// <summary>A sentence per register that the instruction or the complaint names.</summary>
    internal static string Describe(string state, string instruction, string complaint)
    {
        var named = NamedRegister().Matches(instruction + " " + complaint).Select(m => "R" + m.Groups[1].Value).Distinct().ToArray();
        var sentences = State().Matches(state)
            .Where(m => named.Contains(m.Groups["register"].Value))
            .Select(m => $"{m.Groups["register"].Value} is {Words(m.Groups["value"].Value)}")
            .ToArray();
        return sentences.Length == 0 ? "" : string.Join("; ", sentences);
    }

    /// <summary>A value as the verifier prints it, in words.</summary>
    internal static string Words(string value)
    {
        var open = value.IndexOf('(', StringComparison.Ordinal);
        var type = open < 0 ? value : value[..open];
        var fields = Fields(open < 0 ? "" : value[(open + 1)..].TrimEnd(')'));
        if (long.TryParse(type.TrimStart('P').Replace("inv", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) || IsHex(type, out number))
        {
            return $"the number {number.ToString(CultureInfo.InvariantCulture)}";
        }

        if (type.StartsWith("fp", StringComparison.Ordinal))
        {
            return type == "fp0" ? "the end of this function's stack" : $"the address {type[2..].TrimStart('-', '+')} bytes {(type.Contains('-', StringComparison.Ordinal) ? "below" : "above")} the end of this function's stack";
        }

        var mayBeNull = type.EndsWith("_or_null", StringComparison.Ordinal);
        var what = (mayBeNull ? type[..^"_or_null".Length] : type) switch
        {
            "scalar" or "inv" => Number(fields),
            "ctx" => "the context",
            "pkt" => $"a pointer into the packet, of which {fields.GetValueOrDefault("r", "0")} bytes from its start are known to exist",
            "pkt_meta" => "a pointer to the packet's metadata",
            "pkt_end" => "the end of the packet",
            "map_ptr" => "a map",
            "map_value" => $"a pointer into a value of {Map(fields)}",
            "map_key" => "a pointer into a key of a map",
            "mem" or "alloc_mem" or "ringbuf_mem" => fields.TryGetValue("sz", out var size) ? $"a pointer to {size} bytes of memory" : "a pointer to memory",
            "sock" or "sock_common" or "tcp_sock" or "xdp_sock" => "a pointer to a socket",
            "func" => "a function of the program",
            _ when StructPointer().Match(type) is { Success: true } m => $"a pointer to the kernel's struct {m.Groups[1].Value}",
            _ => value,
        };
        var off = fields.GetValueOrDefault("off", "0");
        return what + (off is "0" or "" || type is "scalar" or "inv" ? "" : $", at offset {off}") + (mayBeNull ? ", or null" : "");
    }

    private static string Map(Dictionary<string, string> fields) =>
        fields.TryGetValue("map", out var name) ? $"map '{name}', which has {fields.GetValueOrDefault("vs", "?")} bytes"
        : $"a map with values of {fields.GetValueOrDefault("vs", "?")} bytes";

    private static string Number(Dictionary<string, string> fields)
    {
        var (low, high) = (First(fields, "smin", "smin_value"), First(fields, "smax", "smax_value"));
        var (least, most) = (First(fields, "umin", "umin_value"), First(fields, "umax", "umax_value"));
        return (least, most, low, high) switch
        {
            (_, { } m, _, _) => $"a number from {least ?? "0"} to {m}",
            ({ } l, null, _, _) => $"a number of at least {l}, without an upper bound",
            (null, null, { } s, { } t) => $"a signed number from {s} to {t}",
            (null, null, { } s, null) => $"a signed number of at least {s}, without an upper bound",
            (null, null, null, { } t) => $"a signed number of at most {t}, without a lower bound",
            _ => "any number",
        };
    }

    private static string? First(Dictionary<string, string> fields, params string[] names) =>
        names.Select(n => fields.GetValueOrDefault(n)).FirstOrDefault(v => v is not null);

    // Bounds that are equal are printed once: smin=umin=smin32=3.
    private static Dictionary<string, string> Fields(string text)
    {
        Dictionary<string, string> fields = [];
        foreach (var part in text.Split(','))
        {
            var words = part.Split('=');
            foreach (var name in words[..^1])
            {
                fields.TryAdd(name.Trim(), words[^1].Trim());
            }
        }

        return fields;
    }

    private static bool IsHex(string type, out long number)
    {
        number = 0;
        return type.StartsWith("0x", StringComparison.Ordinal)
            && long.TryParse(type.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
    }

    [GeneratedRegex(@"\b[rRwW](\d+)\b")]
    private static partial Regex NamedRegister();

    // Values may hold parentheses of their own: var_off=(0x0; 0xff).
    [GeneratedRegex(@"(?<register>R\d+)(_\w+)?=(?<value>[^\s(]+(\(([^()]|\([^()]*\))*\))?)")]
    private static partial Regex State();

    [GeneratedRegex(@"^(?:trusted_|rcu_|untrusted_|percpu_)*ptr_(\w+)$")]
    private static partial Regex StructPointer();
}
