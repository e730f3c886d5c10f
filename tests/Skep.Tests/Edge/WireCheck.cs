using System.Runtime.InteropServices;
using Skep.Packets;

namespace Skep.Tests.Edge;

/// <summary>Addresses, ports and checksums of a frame, read with user-side code only.</summary>
internal sealed record WireCheck(string Source, ushort SourcePort, string Destination, ushort DestinationPort, bool HeaderChecksumRight, bool TransportChecksumRight)
{
    public static unsafe WireCheck Of(byte[] frame)
    {
        fixed (byte* data = frame)
        {
            Assert.Equal(ParseStatus.Ip, IpPacket.Parse(data, data + frame.Length, out var packet));
            var network = (int)(packet.Network - data);
            var transport = (int)(packet.Transport - data);
            var end = packet.IsIPv6
                ? network + 40 + ((IPv6Header*)packet.Network)->PayloadLength.Value
                : network + ((IPv4Header*)packet.Network)->TotalLength.Value;
            var message = frame.AsSpan(transport, end - transport);
            var headerRight = packet.IsIPv6 || InternetChecksum.Compute(frame.AsSpan(network, transport - network)).Raw == 0;
            var hasNone = packet.Protocol == IpProtocol.Udp && MemoryMarshal.Read<ushort>(message[6..]) == 0;
            var transportRight = packet.Protocol == IpProtocol.Icmp
                ? InternetChecksum.Compute(message).Raw == 0
                : hasNone || InternetChecksum.ComputeTransport(packet.Source, packet.Destination, packet.Protocol, message).Raw == 0;
            var ports = MemoryMarshal.Cast<byte, NetworkUInt16>(message);
            return new(packet.Source.ToString(), ports[0].Value, packet.Destination.ToString(), ports[1].Value, headerRight, transportRight);
        }
    }

    public void AssertIs(string source, ushort sourcePort, string destination, ushort destinationPort) =>
        Assert.Equal(new WireCheck(source, sourcePort, destination, destinationPort, true, true), this);
}
