using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge.Tracing;

/// <summary>What became of a traced packet.</summary>
/// <param name="Summary">The packet: <c>TCP SYN 203.0.113.7:40000 -> 192.0.2.10:80, 0 bytes of data</c>.</param>
/// <param name="Verdict">What was decided: <c>forwarded</c>, <c>no_backend</c> and so on.</param>
/// <param name="Service">The service; null when it is none's.</param>
/// <param name="Backend">The backend; null when there is none.</param>
/// <param name="Steps">Its way, a sentence each.</param>
public sealed record TracedPacket(string Summary, EdgeVerdict Verdict, ServiceModel? Service, BackendModel? Backend, ImmutableArray<string> Steps);

/// <summary>User half of tracing: tells from a record, and from what the balancer knows, what happened to a packet and why.</summary>
/// <param name="balancer">The balancer.</param>
/// <param name="nameOf">Name of an interface by its index.</param>
public sealed class TraceStory(Balancer balancer, Func<int, string> nameOf)
{
    /// <summary>Tells of a packet.</summary>
    public TracedPacket Tell(in TraceRecord record)
    {
        var isReply = (record.Marks & TraceMarks.Reply) != 0;
        var hasEthernet = (record.Marks & TraceMarks.Ethernet) != 0;
        var before = Shape.Read(MemoryMarshal.AsBytes<ulong>(record.Before), hasEthernet);
        var after = Shape.Read(MemoryMarshal.AsBytes<ulong>(record.After), hasEthernet);
        var verdict = (EdgeVerdict)record.Verdict;
        var steps = ImmutableArray.CreateBuilder<string>();
        steps.Add(string.Create(
            CultureInfo.InvariantCulture,
            $"It came in by {nameOf((int)record.Interface)}, {((record.Marks & TraceMarks.TrafficControl) != 0 ? "at traffic control" : "at XDP")}, with {record.LengthBefore} bytes."));
        var service = FindService(isReply ? after : before, isReply);
        BackendModel? backend;
        if (isReply)
        {
            backend = service?.Model.Backends.FirstOrDefault(b => b.Address == before.Source && (b.Port == before.SourcePort || b.Port == 0));
            steps.Add($"The connection table knows it as the answer of {EndpointText.Of(before.Source, before.SourcePort)} to a client of {EndpointText.Of(after.Source, after.SourcePort)}.");
            steps.Add($"Its source is rewritten to {EndpointText.Of(after.Source, after.SourcePort)}.");
        }
        else
        {
            backend = TellRequest(in record, before, after, verdict, service, steps);
        }

        steps.Add(WayOut(in record, verdict, backend, before, after));
        return new TracedPacket(before.Summary, verdict, service?.Model, backend, steps.ToImmutable());
    }

    private BackendModel? TellRequest(in TraceRecord record, Shape before, Shape after, EdgeVerdict verdict, ServiceState? service, ImmutableArray<string>.Builder steps)
    {
        if (service is null)
        {
            steps.Add($"{EndpointText.Of(before.Destination, before.DestinationPort)} is no service.");
            return null;
        }

        steps.Add($"{service.Model.Endpoint} is service '{service.Model.Name}' ({service.Model.Forwarding.ToString().ToLowerInvariant()}).");
        var given = record.Backend;
        var backend = service.Backends.FirstOrDefault(b => b.Id == given)?.Model;
        var table = service.Model.Forwarding == ForwardingMode.Nat ? "connection table" : "flow table";
        if (record.Backend != 0 && record.IsNew == 0)
        {
            steps.Add($"The {table} knows it: it belongs to {NameOf(service, record.Backend)}.");
        }
        else if (verdict is not (EdgeVerdict.Blocked or EdgeVerdict.Malformed or EdgeVerdict.RateLimited or EdgeVerdict.ServiceLimited or EdgeVerdict.SourceRefused))
        {
            steps.Add($"The {table} does not know it.{SlotOf(in record, service, record.Backend)}");
        }

        if (verdict == EdgeVerdict.ForwardedTwoHops)
        {
            steps.Add("It is of a connection that does not begin, and the slot had another owner before: that one goes along as its second hop.");
        }

        if (Change(service.Model, before, after) is { } change)
        {
            steps.Add(change);
        }

        return backend;
    }

    private string SlotOf(in TraceRecord record, ServiceState service, uint chosen)
    {
        var key = record.Flow;
        if (service.Model.ClientPrefix is not null)
        {
            return chosen == 0 ? "" : $" All connections of the client belong together: {NameOf(service, chosen)}.";
        }

        var (ring, _) = balancer.RingOf(service.Model.Key);
        var slot = BackendChoice.SlotOf(BackendChoice.HashOf(in key), (uint)ring.Slots);
        var owner = balancer.IdAt(ring, (int)slot);
        var hashed = string.Create(CultureInfo.InvariantCulture, $" Its addresses and ports hash to slot {slot} of {ring.Slots} of the ring, which belongs to {(owner == 0 ? "nobody" : NameOf(service, owner))}.");
        return chosen == 0 || chosen == owner ? hashed : $"{hashed} It went to {NameOf(service, chosen)}: of the two choices it had fewer open connections, or the ring has changed meanwhile.";
    }

    private static string? Change(ServiceModel service, Shape before, Shape after)
    {
        if (service.Forwarding == ForwardingMode.Nat)
        {
            return before.Destination == after.Destination && before.DestinationPort == after.DestinationPort ? null
                : $"Its destination is rewritten to {EndpointText.Of(after.Destination, after.DestinationPort)}"
                    + (before.Source == after.Source ? "." : $", its source to {EndpointText.Of(after.Source, after.SourcePort)}.");
        }

        return service.Forwarding == ForwardingMode.L2
            ? before.Link == after.Link ? null : $"Its Ethernet addresses are rewritten: to {after.Link}."
            : before.Destination == after.Destination ? null
            : $"It is put in outer headers ({service.Forwarding.ToString().ToLowerInvariant()}) from {after.Source} to {after.Destination}.";
    }

    private string WayOut(in TraceRecord record, EdgeVerdict verdict, BackendModel? backend, Shape before, Shape after)
    {
        var isTc = (record.Marks & TraceMarks.TrafficControl) != 0;
        var action = (int)record.Action;
        if (isTc ? action == (int)TcAction.Shot : action == (int)XdpAction.Drop)
        {
            return $"It is dropped: {Why(verdict)}.";
        }

        var length = record.LengthAfter == record.LengthBefore ? "" : string.Create(CultureInfo.InvariantCulture, $", with {record.LengthAfter} bytes");
        if (isTc)
        {
            return action == (int)TcAction.Redirect ? $"It is sent on past the network stack{length}." : $"It goes on to the network stack{length}.";
        }

        return action switch
        {
            (int)XdpAction.Tx => verdict == EdgeVerdict.TooBig ? "It is too big with the outer headers: the client is told the size that fits." : $"It is sent out where it came in, of {nameOf((int)record.Interface)}{length}.",
            (int)XdpAction.Redirect => $"It is sent out of {(backend is not null && balancer.InterfaceTo(backend.Address) is > 0 and var way ? nameOf(way) : "another interface")}{length}.",
            _ => $"It goes on to the network stack{length}{(verdict == EdgeVerdict.Passed || before.Destination != after.Destination || before.Source != after.Source ? "" : $": {Why(verdict)}")}.",
        };
    }

    private static string Why(EdgeVerdict verdict) => verdict switch
    {
        EdgeVerdict.Malformed => "it is truncated or contradictory",
        EdgeVerdict.Blocked => "its source is on the block list",
        EdgeVerdict.RateLimited => "its source exceeds its rate",
        EdgeVerdict.NoBackend => "no backend takes connections",
        EdgeVerdict.TableFull => "the connection table took no entry",
        EdgeVerdict.PortCollision => "the client uses the same port towards every backend that was tried, through other services",
        EdgeVerdict.SourceRefused => "its source is not among those that may use the service",
        EdgeVerdict.Undeliverable => "there was no room for the outer headers, or no way to the backend is known",
        EdgeVerdict.PortsExhausted => "no free port was found at the addresses that replace the client's",
        EdgeVerdict.ServiceLimited => "the service has more packets or new connections than its limit allows",
        EdgeVerdict.Held => "it is of no known connection, and while tables change their sizes it may be of one that is being carried over",
        _ => verdict.ToString().ToLowerInvariant(),
    };

    private ServiceState? FindService(Shape shape, bool isReply)
    {
        var (address, port) = isReply ? (shape.Source, shape.SourcePort) : (shape.Destination, shape.DestinationPort);
        var own = balancer.Services.Where(s => s.Model.Address == address && s.Model.Protocol == shape.Protocol).ToArray();
        return own.FirstOrDefault(s => s.Model.LastPort is null && s.Model.Port == port) ?? own.FirstOrDefault(s => s.Model.LastPort is { } last && port >= s.Model.Port && port <= last);
    }

    private static string NameOf(ServiceState service, uint id) =>
        service.Backends.FirstOrDefault(b => b.Id == id)?.Model is { } backend ? EndpointText.Of(backend.Address, backend.Port) : "a backend that is gone";

    /// <summary>What the first bytes of a packet say.</summary>
    private readonly record struct Shape(IpAddress Source, ushort SourcePort, IpAddress Destination, ushort DestinationPort, IpProtocol Protocol, string Link, string Summary)
    {
        public static unsafe Shape Read(ReadOnlySpan<byte> bytes, bool hasEthernet)
        {
            // The copy is whole here, and nothing in it is written.
            fixed (byte* data = bytes)
            {
                var end = data + bytes.Length;
                var status = hasEthernet ? IpPacket.Parse(data, end, out var packet) : IpPacket.ParseNetwork(data, end, *data >> 4 == 6, out packet);
                var link = hasEthernet ? new MacAddress(bytes[..MacAddress.Size]).ToString() : "";
                if (status != ParseStatus.Ip)
                {
                    return new Shape(default, 0, default, 0, default, link, "unreadable");
                }

                var hasPorts = packet.Protocol is IpProtocol.Tcp or IpProtocol.Udp && packet.Transport + sizeof(UdpHeader) <= end;
                var udp = (UdpHeader*)packet.Transport;
                var (from, to) = hasPorts ? (udp->SourcePort.Value, udp->DestinationPort.Value) : ((ushort)0, (ushort)0);
                return new Shape(packet.Source, from, packet.Destination, to, packet.Protocol, link, Describe(in packet, from, to, end));
            }
        }

        private static unsafe string Describe(in IpPacket packet, ushort from, ushort to, byte* end)
        {
            var total = packet.IsIPv6
                ? ((IPv6Header*)packet.Network)->PayloadLength.Value + (uint)sizeof(IPv6Header)
                : ((IPv4Header*)packet.Network)->TotalLength.Value;
            var headers = (uint)(packet.Transport - packet.Network);
            var what = packet.Protocol.ToString().ToUpperInvariant();
            if (packet.Protocol == IpProtocol.Tcp && packet.Transport + sizeof(TcpHeader) <= end)
            {
                var tcp = (TcpHeader*)packet.Transport;
                headers += tcp->HeaderLength;
                var flags = (tcp->Flags & ~(TcpFlags.Ack | TcpFlags.Psh)) != 0 ? tcp->Flags & ~TcpFlags.Psh : tcp->Flags;
                what = $"TCP {flags.ToString().ToUpperInvariant().Replace(", ", "-", StringComparison.Ordinal)}";
            }
            else if (packet.Protocol == IpProtocol.Udp)
            {
                headers += (uint)sizeof(UdpHeader);
            }

            return string.Create(
                CultureInfo.InvariantCulture,
                $"{what} {EndpointText.Of(packet.Source, from)} -> {EndpointText.Of(packet.Destination, to)}, {(total > headers ? total - headers : 0)} bytes of data");
        }
    }
}
