using System.Buffers.Binary;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

/// <summary>
/// Random packets through the balancer, judged by the plainest code there is: bytes compared one by one, checksums added up sixteen bits at a time.
/// Nothing here uses the product's parsing or its arithmetic.
/// </summary>
public sealed class RewriteOracleTests
{
    private const string Vip = "198.51.100.1";
    private const string Vip6 = "2001:db8:f::1";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Nothing_but_address_port_and_checksums_changes_and_the_checksums_are_right(int seed)
    {
        var random = new Random(seed);
        // Ports and addresses of all ones and zeros are where one's complement arithmetic has its corners (RFC 1624 section 3).
        using var bed = new EdgeBed(EdgeBed.Small with { MaxConnections = 16384, Malformed = PacketPolicy.Drop }, s => Assert.Empty(s.Balancer.Apply(
        [
            EdgeBed.Service("tcp", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("255.255.255.254", 65535), EdgeBed.Backend("10.0.0.1", 80), EdgeBed.Backend("0.0.0.1", 1)),
            EdgeBed.Service("udp", Vip, 53, IpProtocol.Udp, EdgeBed.Backend("255.255.0.0", 65535), EdgeBed.Backend("198.51.100.1", 53), EdgeBed.Backend("10.1.0.1", 5353)),
            EdgeBed.Service("tcp6", Vip6, 80, IpProtocol.Tcp, EdgeBed.Backend("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535), EdgeBed.Backend("2001:db8::1", 8080)),
            EdgeBed.Service("udp6", Vip6, 53, IpProtocol.Udp, EdgeBed.Backend("::2", 1), EdgeBed.Backend("2001:db8::1", 8080)),
        ])));
        for (var i = 0; i < 2500; i++)
        {
            var shape = new Shape(random.Next(2) == 0, random.Next(2) == 0, random.Next(3), random.Next(4), random.Next(4));
            var payload = new byte[random.Next(40)];
            random.NextBytes(payload);
            var clientPort = (ushort)random.Next(1, 65536);
            var client = shape.IsIPv6 ? $"2001:db8:c::{random.Next(65536):x}" : $"192.0.{random.Next(256)}.{random.Next(256)}";
            var vip = shape.IsIPv6 ? Vip6 : Vip;
            var vipPort = (ushort)(shape.IsTcp ? 80 : 53);
            var isBare = !shape.IsTcp && !shape.IsIPv6 && random.Next(4) == 0;
            var request = Build(shape, client, clientPort, vip, vipPort, payload, isBare);
            var (verdict, sent) = bed.Run(request);
            Assert.Equal(EdgeVerdict.Forwarded, verdict);
            var offset = Check(request, sent, shape, isBare, isAnswer: false);
            var (backend, backendPort) = Receiver(sent, offset, shape);
            if (backendPort == vipPort && backend == vip)
            {
                Assert.Equal(request, sent);
            }

            var answer = Build(shape, backend, backendPort, client, clientPort, payload, isBare);
            (verdict, var received) = bed.Run(answer);
            Assert.Equal(EdgeVerdict.Replied, verdict);
            Check(answer, received, shape, isBare, isAnswer: true);
            Assert.Equal(Build(shape, vip, vipPort, client, clientPort, payload, isBare), received);
        }
    }

    [Fact]
    public void Every_UDP_checksum_there_is_comes_out_right()
    {
        // Two bytes of payload make every checksum from 0001 to ffff, the one that stands for zero included.
        using var bed = new EdgeBed(prepare: s => s.Balancer.Apply([EdgeBed.Service("udp", Vip, 53, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 5353))]));
        var shape = new Shape(false, false, 0, 0, 0);
        var seen = new HashSet<ushort>();
        for (var word = 0; word <= ushort.MaxValue; word++)
        {
            var request = Build(shape, "192.0.2.1", 1000, Vip, 53, [(byte)(word >> 8), (byte)word], false);
            var sent = bed.Twin.Run(bed.Program, request).Packet.ToArray();
            Check(request, sent, shape, false, isAnswer: false);
            seen.Add(BinaryPrimitives.ReadUInt16BigEndian(request.AsSpan(40)));
        }

        Assert.Equal(ushort.MaxValue, seen.Count);
    }

    private sealed record Shape(bool IsIPv6, bool IsTcp, int Tags, int Options, int Extensions)
    {
        public int Network => 14 + (4 * Tags);

        public int Transport => Network + (IsIPv6 ? 40 + (8 * Extensions) : 20 + (4 * Options));
    }

    private static byte[] Build(Shape shape, string from, ushort fromPort, string to, ushort toPort, byte[] payload, bool withoutChecksum)
    {
        var packet = PacketBuilder.Ethernet();
        for (var tag = 0; tag < shape.Tags; tag++)
        {
            packet = packet.Vlan((ushort)(100 + tag), service: shape.Tags == 2 && tag == 0);
        }

        packet = shape.IsIPv6 ? packet.IPv6(from, to) : packet.IPv4(from, to, options: [.. Enumerable.Repeat((byte)1, shape.Options * 4)]);
        for (var extension = 0; shape.IsIPv6 && extension < shape.Extensions; extension++)
        {
            packet = packet.Extension(extension == 0 ? (IpProtocol)0 : (IpProtocol)60);
        }

        packet = shape.IsTcp
            ? packet.Tcp(fromPort, toPort, TcpFlags.Ack, options: [.. Enumerable.Repeat((byte)1, shape.Options * 4)])
            : packet.Udp(fromPort, toPort, withoutChecksum);
        return packet.Payload(payload).Build();
    }

    /// <summary>Checks all bytes; returns where the changed address stands.</summary>
    private static int Check(byte[] before, byte[] after, Shape shape, bool withoutChecksum, bool isAnswer)
    {
        Assert.Equal(before.Length, after.Length);
        var size = shape.IsIPv6 ? 16 : 4;
        var address = shape.Network + (shape.IsIPv6 ? 8 : 12) + (isAnswer ? 0 : size);
        var port = shape.Transport + (isAnswer ? 0 : 2);
        var checksum = shape.Transport + (shape.IsTcp ? 16 : 6);
        for (var i = 0; i < before.Length; i++)
        {
            var mayChange = (i >= address && i < address + size) || (i >= port && i < port + 2) || (i >= checksum && i < checksum + 2)
                || (!shape.IsIPv6 && i >= shape.Network + 10 && i < shape.Network + 12);
            Assert.True(mayChange || before[i] == after[i], $"byte {i} changed");
        }

        if (!shape.IsIPv6)
        {
            Assert.Equal(0xFFFFu, Sum(after.AsSpan(shape.Network, shape.Transport - shape.Network), 0));
        }

        var message = after.AsSpan(shape.Transport);
        var written = BinaryPrimitives.ReadUInt16BigEndian(after.AsSpan(checksum));
        if (withoutChecksum)
        {
            Assert.Equal(0, written);
            return address;
        }

        Assert.False(!shape.IsTcp && written == 0, "a UDP checksum vanished");
        var addresses = after.AsSpan(shape.Network + (shape.IsIPv6 ? 8 : 12), 2 * size);
        Assert.Equal(0xFFFFu, Sum(message, Sum(addresses, (uint)((shape.IsTcp ? 6 : 17) + message.Length))));
        return address;
    }

    private static (string Address, ushort Port) Receiver(byte[] frame, int offset, Shape shape) =>
        (new System.Net.IPAddress(frame.AsSpan(offset, shape.IsIPv6 ? 16 : 4)).ToString(), BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(shape.Transport + 2)));

    private static uint Sum(ReadOnlySpan<byte> bytes, uint sum)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            sum += (uint)bytes[i] << (i % 2 == 0 ? 8 : 0);
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return sum;
    }
}
