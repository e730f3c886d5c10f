using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Skep.Balancing;
using QuicServerIdType = Skep.Balancing.QuicServerId;

namespace Skep.Resources.Reading;

/// <summary>The scalars of resource files.</summary>
internal static partial class Scalars
{
    public static readonly ScalarShape ResourceName = new(
        "bad-name", "a name", "lower-case letters, digits and '-', at most 63 characters, as in DNS",
        text => NamePattern().IsMatch(text) ? text : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" });

    public static readonly ScalarShape InterfaceName = new(
        "bad-interface", "the name of an interface", "at most 15 characters without '/', spaces or wildcards, as 'ip link' shows it",
        text => IsInterfaceName(text) ? text : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = @"^[^\s/:*?%]{1,15}$" });

    public static readonly ScalarShape Text = new(
        "bad-text", "text", "at most 200 characters on one line",
        text => text.Length <= 200 && !text.Any(char.IsControl) ? text : null,
        () => new JsonObject { ["type"] = "string", ["maxLength"] = 200 });

    public static readonly ScalarShape Address = new(
        "bad-address", "an IP address", "for example 192.0.2.1 or 2001:db8::1",
        ParseAddress,
        () => new JsonObject { ["type"] = "string", ["anyOf"] = new JsonArray(Format("ipv4"), Format("ipv6")) });

    public static readonly ScalarShape Prefix = new(
        "bad-prefix", "an address or prefix", "for example 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32; bits after the prefix length are zero",
        text => TryParsePrefix(text, out var prefix) ? prefix : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = @"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$" });

    public static readonly ScalarShape Port = Whole("bad-port", "a port", 1, 65535);

    public static readonly ScalarShape PortOrAll = Whole("bad-port", "a port, or 0 for all ports", 0, 65535);

    public static readonly ScalarShape IPv4Prefix = Whole("bad-prefix", "a prefix length", 1, 32);

    public static readonly ScalarShape IPv6Prefix = Whole("bad-prefix", "a prefix length", 1, 128);

    public static readonly ScalarShape Forwarding = Choice(
        "bad-forwarding", "a way of forwarding", ("nat", ForwardingMode.Nat), ("ipip", ForwardingMode.IpIp), ("gue", ForwardingMode.Gue),
        ("geneve", ForwardingMode.Geneve), ("l2", ForwardingMode.L2));

    public static readonly ScalarShape Affinity = Choice("bad-affinity", "an affinity", ("connection", false), ("client", true));

    public static readonly ScalarShape QuicConfig = Whole("bad-config", "the number of a configuration", 0, QuicServerIdType.Configs - 1);

    public static readonly ScalarShape QuicServerId = new(
        "bad-server-id", "a QUIC server id", "1 to 15 bytes in hexadecimal, two digits each and in quotes, for example \"0a01\"",
        text => QuicServerIdType.TryParse(text, out var id) ? id : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = "^([0-9a-fA-F]{2}){1,15}$" });

    public static readonly ScalarShape TranslatedClients = Choice("bad-choice", "a choice of clients", ("all", false), ("backends", true));

    public static readonly ScalarShape Weight = Whole("bad-weight", "a weight", 0, 1000);

    public static readonly ScalarShape Percent = Whole("bad-percent", "a percentage", 0, 100);

    public static readonly ScalarShape Times = Whole("bad-count", "a count", 1, 1000);

    public static readonly ScalarShape Status = Whole("bad-status", "an HTTP status", 100, 599);

    public static readonly ScalarShape Path = new(
        "bad-path", "a path", "begin it with '/', as in /healthz; no spaces",
        text => text.Length <= 1000 && text.StartsWith('/') && !text.Any(c => char.IsControl(c) || char.IsWhiteSpace(c)) ? text : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = @"^/[^\s]*$", ["maxLength"] = 1000 });

    public static readonly ScalarShape CheckType = Word("bad-check", "a kind of check", "tcp", "http", "https", "udp", "exec");

    public static readonly ScalarShape CheckThrough = Word("bad-choice", "a choice", "address", "tunnel");

    public static readonly ScalarShape WhenAllDead = Word("bad-choice", "a choice", "refuse", "all");

    public static readonly ScalarShape ServiceRate = Whole("bad-rate", "a number a second", 1, 100_000_000);

    public static readonly ScalarShape PacketsPerSecond = Whole("bad-rate", "a number of packets per second", 1, 100_000_000);

    public static readonly ScalarShape Burst = Whole("bad-burst", "a number of packets", 1, 100_000_000);

    public static readonly ScalarShape ServiceCount = Whole("bad-size", "a number of services", 1, 1_000_000);

    public static readonly ScalarShape BackendCount = Whole("bad-size", "a number of backends", 1, 16_777_215);

    // A ring may have 65,536 slots, and one more is kept free to move rings about.
    public static readonly ScalarShape RowCount = Whole("bad-size", "a number of rows", 65_536, 268_435_456);

    public static readonly ScalarShape ConnectionCount = Whole("bad-size", "a number of entries", 1024, 67_108_864);

    public static readonly ScalarShape BlockCount = Whole("bad-size", "a number of blocks", 1, 16_777_216);

    public static readonly ScalarShape Flag = new(
        "wrong-type", "true or false", "write true or false",
        text => text switch { "true" => true, "false" => false, _ => null },
        () => new JsonObject { ["type"] = "boolean" }, plainOnly: true);

    public static readonly ScalarShape Time = new(
        "bad-time", "a point in time", "write it as 2030-01-31T18:00:00Z (RFC 3339)",
        text => TimePattern().IsMatch(text) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time) ? time : null,
        () => new JsonObject { ["type"] = "string", ["format"] = "date-time" });

    public static readonly ScalarShape TimeSpan = new(
        "bad-duration", "a duration", "for example 500ms, 10s, 5m, 2h or 7d",
        text => Duration.TryParse(text, out var duration) ? duration : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = "^([0-9]+(ms|s|m|h|d))+$" });

    public static readonly ScalarShape Protocol = new(
        "bad-protocol", "a protocol", "write TCP or UDP",
        text => text switch { "TCP" => TransportProtocol.TCP, "UDP" => TransportProtocol.UDP, _ => null },
        () => new JsonObject { ["type"] = "string", ["enum"] = new JsonArray("TCP", "UDP") });

    public static readonly ScalarShape Hook = new(
        "bad-hook", "a hook", "write auto, xdp or tc",
        text => text switch { "auto" => EdgeHook.Auto, "xdp" => EdgeHook.Xdp, "tc" => EdgeHook.Tc, _ => null },
        () => new JsonObject { ["type"] = "string", ["enum"] = new JsonArray("auto", "xdp", "tc") });

    public static readonly ScalarShape Cgroup = new(
        "bad-cgroup", "a control group", "its path from the root of the hierarchy, for example /system.slice/nginx.service, at most 100 characters",
        text => text.Length <= 100 && CgroupPattern().IsMatch(text) && !text.Split('/').Any(part => part is "." or "..") ? text : null,
        () => new JsonObject { ["type"] = "string", ["pattern"] = "^/([A-Za-z0-9@_.:\\\\-]+(/[A-Za-z0-9@_.:\\\\-]+)*)?$", ["maxLength"] = 100 });

    /// <summary>A value that can be nothing but <paramref name="value"/>.</summary>
    public static ScalarShape Constant(string id, string what, string value) => new(
        id, what, $"write {value}", text => text == value ? text : null, () => new JsonObject { ["const"] = value });

    /// <summary>One of some words.</summary>
    private static ScalarShape Word(string id, string what, params string[] words) => new(
        id, what, $"write one of {string.Join(", ", words)}", text => words.Contains(text, StringComparer.Ordinal) ? text : null,
        () => new JsonObject { ["type"] = "string", ["enum"] = new JsonArray([.. words.Select(w => (JsonNode)w)]) });

    /// <summary>One of a few words.</summary>
    public static ScalarShape Choice<T>(string id, string what, params (string Word, T Value)[] choices) => new(
        id, what, $"write {string.Join(", ", choices[..^1].Select(c => c.Word))} or {choices[^1].Word}",
        text => choices.Where(c => c.Word == text).Select(c => (object?)c.Value).FirstOrDefault(),
        () => new JsonObject { ["type"] = "string", ["enum"] = new JsonArray([.. choices.Select(c => (JsonNode)c.Word)]) });

    /// <summary>Whether the kernel would take a name for an interface; JSON may bring null.</summary>
    public static bool IsInterfaceName(string? name) => name is not null and not "." and not ".." && InterfacePattern().IsMatch(name);

    /// <summary>An address or prefix in its strict form: no host bits, no scope, no octal.</summary>
    public static bool TryParsePrefix(string text, out IPNetwork prefix)
    {
        prefix = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (ParseAddress(slash < 0 ? text : text[..slash]) is not { } address)
        {
            return false;
        }

        var bits = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        var length = bits;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > bits))
        {
            return false;
        }

        if (!HostBitsAreZero(address, length))
        {
            return false;
        }

        prefix = new IPNetwork(address, length);
        return true;
    }

    // The framework also takes '1', '0x7f.1', '010.0.0.1' and scopes; people who write those mean something else.
    internal static IPAddress? ParseAddress(string text)
    {
        if (text.Length > 45 || !AddressPattern().IsMatch(text) || !IPAddress.TryParse(text, out var address))
        {
            return null;
        }

        return address.AddressFamily == AddressFamily.InterNetwork
            ? address.ToString() == text ? address : null
            : address.IsIPv4MappedToIPv6 ? null : address;
    }

    private static bool HostBitsAreZero(IPAddress address, int length)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var count);
        for (var bit = length; bit < count * 8; bit++)
        {
            if ((bytes[bit / 8] & (0x80 >> (bit % 8))) != 0)
            {
                return false;
            }
        }

        return true;
    }

    private static ScalarShape Whole(string id, string what, uint least, uint most) => new(
        id, what, $"a whole number from {least} to {most}",
        text => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least && n <= most ? n : null,
        () => new JsonObject { ["type"] = "integer", ["minimum"] = least, ["maximum"] = most }, plainOnly: true);

    private static JsonObject Format(string name) => new() { ["format"] = name };

    [GeneratedRegex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^[^\s/:*?%\p{C}]{1,15}\z")]
    private static partial Regex InterfacePattern();

    [GeneratedRegex(@"^/([A-Za-z0-9@_.:\\-]+(/[A-Za-z0-9@_.:\\-]+)*)?\z")]
    private static partial Regex CgroupPattern();

    [GeneratedRegex(@"^[0-9a-fA-F:.]+\z")]
    private static partial Regex AddressPattern();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)\z")]
    private static partial Regex TimePattern();
}
