using System.Numerics;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Answers SYNs to a port with a cookie for a sequence number, and lets ACKs pass that bring one back (RFC 4987, section 3.6).</summary>
internal sealed unsafe class SynCookie : Algorithm
{
    private const uint Answered = 0;
    private const uint Valid = 1;
    private const uint Forged = 2;
    private const uint Minute = 28_000_000;

    private readonly ArrayMap<Setting> _settings = new(1);
    private readonly PerCpuArrayMap<ulong> _totals = new(3);

    internal override bool RewritesPacket => true;

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("SYN is answered", From(TcpFlags.Syn, 0x12345678, 0)),
        new("valid ACK", From(TcpFlags.Ack, 0x12345679, CookieOf(0x12345678, Minute) + 1)),
        new("valid ACK of the last minute", From(TcpFlags.Ack, 0x12345679, CookieOf(0x12345678, Minute - 1) + 1)),
        new("forged ACK", From(TcpFlags.Ack, 0x12345679, 0xdeadbeef)),
        new("RST", From(TcpFlags.Rst, 1, 0)),
        new("another port", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(1000, 80, TcpFlags.Syn).Payload(12).Build()),
        new("UDP", PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(1000, 443).Payload(24).Build()),
    ];

    private static Setting Secrets => new() { Secret0 = 0x9e3779b9, Secret1 = 0x7f4a7c15, Minute = Minute, Port = NetworkUInt16.From(443).Raw };

    internal override void Fill() => _settings.Set(0, Secrets);

    private static uint CookieOf(uint sequence, uint minute)
    {
        var ports = NetworkUInt16.From(40000).Raw | ((uint)NetworkUInt16.From(443).Raw << 16);
        var setting = Secrets;
        return Cookie(in setting, IpAddress.Parse("10.0.0.1").RawIPv4, IpAddress.Parse("10.0.0.2").RawIPv4, ports, sequence, minute);
    }

    private static byte[] From(TcpFlags flags, uint sequence, uint acknowledgment) =>
        PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(40000, 443, flags, sequence, acknowledgment, options: [2, 4, 5, 0xb4]).Payload(8).Build();

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        var tcp = (TcpHeader*)(ip + 1);
        var option = (NetworkUInt32*)(tcp + 1);
        if ((byte*)(option + 1) > end || ethernet->EtherType != EtherTypes.IPv4 || ip->VersionIhl != 0x45 || ip->Protocol != IpProtocol.Tcp)
        {
            return XdpAction.Pass;
        }

        ref var setting = ref _settings.Find(0u);
        if (Unsafe.IsNullRef(ref setting) || tcp->DestinationPort.Raw != setting.Port)
        {
            return XdpAction.Pass;
        }

        var ports = tcp->SourcePort.Raw | ((uint)tcp->DestinationPort.Raw << 16);
        if ((tcp->Flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Ack)
        {
            var first = tcp->Sequence.Value - 1;
            var acknowledged = tcp->Acknowledgment.Value - 1;
            for (var age = 0u; age < 2; age++)
            {
                if (Cookie(in setting, ip->Source.Raw, ip->Destination.Raw, ports, first, setting.Minute - age) == acknowledged)
                {
                    Count(Valid);
                    return XdpAction.Pass;
                }
            }

            Count(Forged);
            return XdpAction.Drop;
        }

        if ((tcp->Flags & (TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Rst | TcpFlags.Fin)) != TcpFlags.Syn)
        {
            return XdpAction.Pass;
        }

        var sequence = tcp->Sequence.Value;
        var value = Cookie(in setting, ip->Source.Raw, ip->Destination.Raw, ports, sequence, setting.Minute);

        (ethernet->Source, ethernet->Destination) = (ethernet->Destination, ethernet->Source);

        (ip->Source, ip->Destination) = (ip->Destination, ip->Source);
        ip->TotalLength = NetworkUInt16.From(44);
        ip->Identification = default;
        ip->FlagsOffset = NetworkUInt16.From(0x4000);
        ip->TimeToLive = 64;
        ip->Checksum = default;
        ip->Checksum = NetworkUInt16.FromRaw(Fold(Words(ip, sizeof(IPv4Header))));

        (tcp->SourcePort, tcp->DestinationPort) = (tcp->DestinationPort, tcp->SourcePort);
        tcp->Acknowledgment = NetworkUInt32.From(sequence + 1);
        tcp->Sequence = NetworkUInt32.From(value);
        tcp->DataOffset = 0x60;
        tcp->Flags = TcpFlags.Syn | TcpFlags.Ack;
        tcp->Window = NetworkUInt16.From(65535);
        tcp->UrgentPointer = default;
        *option = NetworkUInt32.From(0x020405B4);
        tcp->Checksum = default;
        tcp->Checksum = NetworkUInt16.FromRaw(Fold(
            Words(&ip->Source, 8) + NetworkUInt16.From((ushort)IpProtocol.Tcp).Raw + NetworkUInt16.From(24).Raw + Words(tcp, 24)));
        Count(Answered);
        return XdpAction.Tx;
    }

    /// <summary>The mixing of Bob Jenkins' lookup3, final part.</summary>
    private static uint Cookie(in Setting setting, uint source, uint destination, uint ports, uint sequence, uint minute)
    {
        var a = source + setting.Secret0;
        var b = destination + setting.Secret1;
        var c = ports ^ sequence ^ minute;
        c ^= b;
        c -= BitOperations.RotateLeft(b, 14);
        a ^= c;
        a -= BitOperations.RotateLeft(c, 11);
        b ^= a;
        b -= BitOperations.RotateLeft(a, 25);
        c ^= b;
        c -= BitOperations.RotateLeft(b, 16);
        a ^= c;
        a -= BitOperations.RotateLeft(c, 4);
        b ^= a;
        b -= BitOperations.RotateLeft(a, 14);
        c ^= b;
        c -= BitOperations.RotateLeft(b, 24);
        return c;
    }

    private static uint Words(void* start, int bytes)
    {
        var word = (ushort*)start;
        var sum = 0u;
        for (var i = 0; i < bytes / 2; i++)
        {
            sum += word[i];
        }

        return sum;
    }

    private void Count(uint what)
    {
        ref var total = ref _totals.Find(in what);
        if (!Unsafe.IsNullRef(ref total))
        {
            total++;
        }
    }

    private struct Setting
    {
        internal uint Secret0;
        internal uint Secret1;
        internal uint Minute;
        internal uint Port;
    }
}
