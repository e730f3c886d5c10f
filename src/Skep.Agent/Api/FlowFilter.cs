using System.Globalization;
using System.Net;
using Skep.Agent.Observing;
using Skep.Flows;
using Skep.Packets;
using Skep.Resources.Reading;

namespace Skep.Agent.Api;

/// <summary>Which flows are wanted; everything given must match.</summary>
internal sealed record FlowFilter
{
    public const int MostFlows = 10_000;

    /// <summary>Either end is in it.</summary>
    public IpPrefix? Host { get; init; }

    public IpPrefix? From { get; init; }

    public IpPrefix? To { get; init; }

    /// <summary>Either port.</summary>
    public int? Port { get; init; }

    /// <summary>For example <c>tcp</c>.</summary>
    public string? Protocol { get; init; }

    public string? Interface { get; init; }

    /// <summary>Seen after this moment.</summary>
    public DateTimeOffset? Since { get; init; }

    public FlowOrder Order { get; init; } = FlowOrder.Recent;

    public int Limit { get; init; } = 1000;

    /// <summary>Reads the query of a request; the first thing wrong with it comes back as text.</summary>
    public static string? TryRead(Func<string, string?> query, out FlowFilter filter)
    {
        filter = new FlowFilter();
        if (ReadPrefix(query, "host", out var host) is { } badHost)
        {
            return badHost;
        }

        if (ReadPrefix(query, "from", out var from) is { } badFrom)
        {
            return badFrom;
        }

        if (ReadPrefix(query, "to", out var to) is { } badTo)
        {
            return badTo;
        }

        if (ReadNumber(query, "port", 0, 65535, out var port) is { } badPort)
        {
            return badPort;
        }

        if (ReadNumber(query, "limit", 1, MostFlows, out var limit) is { } badLimit)
        {
            return badLimit;
        }

        var order = FlowOrder.Recent;
        if (query("order") is { } word && (!Enum.TryParse(word, ignoreCase: true, out order) || !Enum.IsDefined(order) || char.IsAsciiDigit(word[0])))
        {
            return $"order: '{Node.Quote(word)}' is none of {string.Join(", ", Enum.GetNames<FlowOrder>()).ToLowerInvariant()}";
        }

        var protocol = query("protocol")?.ToLowerInvariant();
        if (protocol is not null && !FlowViews.IsProtocol(protocol))
        {
            return $"protocol: '{Node.Quote(protocol)}' is no protocol; write tcp, udp, icmp, icmpv6 or a number";
        }

        DateTimeOffset? since = null;
        if (query("since") is { } time)
        {
            if (!DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed))
            {
                return $"since: '{Node.Quote(time)}' is not a point in time; write it as 2030-01-31T18:00:00Z";
            }

            since = parsed;
        }

        filter = new FlowFilter
        {
            Host = host,
            From = from,
            To = to,
            Port = port,
            Limit = limit ?? 1000,
            Order = order,
            Since = since,
            Protocol = protocol,
            Interface = query("interface"),
        };
        return null;
    }

    /// <summary>Whether a flow is wanted.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="interfaces">Names of interfaces by index.</param>
    /// <param name="since">Monotonic nanoseconds for <see cref="Since"/>.</param>
    public bool Matches(in FlowRecord flow, IReadOnlyDictionary<int, string> interfaces, ulong since)
    {
        var key = flow.Key;
        return (Since is null || flow.LastSeen > since)
            && (Port is not { } port || port == key.LocalPort || port == key.RemotePort)
            && (Protocol is null || Protocol == FlowViews.NameOf((IpProtocol)key.Protocol))
            && (Interface is null || Interface == FlowViews.InterfaceOf(key, interfaces))
            && (Host is not { } host || host.Contains(key.Local) || host.Contains(key.Remote))
            && (From is not { } from || from.Contains(flow.From))
            && (To is not { } to || to.Contains(flow.To));
    }

    /// <summary>By what a flow is ranked, most first.</summary>
    public ulong RankOf(in FlowRecord flow, RetransmitCounts? again) => Order switch
    {
        FlowOrder.Bytes => flow.Bytes,
        FlowOrder.Packets => flow.Packets,
        FlowOrder.Rtt => flow.Rtt,
        FlowOrder.Retransmits => again!.Total(in flow),
        _ => flow.LastSeen,
    };

    private static string? ReadPrefix(Func<string, string?> query, string name, out IpPrefix? prefix)
    {
        prefix = null;
        if (query(name) is not { } text)
        {
            return null;
        }

        if (!Scalars.TryParsePrefix(text, out var parsed))
        {
            return $"{name}: '{Node.Quote(text)}' is not an address or prefix, such as 192.0.2.1 or 2001:db8::/32";
        }

        prefix = new IpPrefix(IpAddress.From(parsed.BaseAddress), parsed.PrefixLength);
        return null;
    }

    private static string? ReadNumber(Func<string, string?> query, string name, int least, int most, out int? number)
    {
        number = null;
        if (query(name) is not { } text)
        {
            return null;
        }

        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed) || parsed < least || parsed > most)
        {
            return $"{name}: '{Node.Quote(text)}' is not a whole number from {least} to {most}";
        }

        number = parsed;
        return null;
    }
}

/// <summary>Order of flows in an answer, largest first.</summary>
internal enum FlowOrder
{
    Recent,
    Bytes,
    Packets,
    Rtt,
    Retransmits,
}
