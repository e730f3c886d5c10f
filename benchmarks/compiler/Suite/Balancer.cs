using System.Numerics;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>Sends the packets of a service to one of its backends in an outer IPv4 header (RFC 2003), the same one for all packets of a connection.</summary>
internal sealed unsafe class Balancer : Algorithm
{
    private const uint Ring = 1021;
    private const uint OuterSource = 0x0A0000FE;

    private readonly HashMap<ServiceKey, Service> _services = new(64);
    private readonly LruHashMap<ConnectionKey, uint> _connections = new(4096);
    private readonly ArrayMap<uint> _ring = new(4 * Ring);
    private readonly ArrayMap<Backend> _backends = new(256);

    internal override bool RewritesPacket => true;

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("new TCP connection", Tcp(40000), IsTimed: false),
        new("known TCP connection", Tcp(40000)),
        new("another new connection", Tcp(40001), IsTimed: false),
        new("UDP", PacketBuilder.Ethernet().IPv4("10.1.0.1", "198.18.0.1").Udp(999, 53).Payload(64).Build()),
        new("no service", PacketBuilder.Ethernet().IPv4("10.1.0.1", "198.18.0.9").Tcp(999, 53).Payload(40).Build()),
        new("backend gone", PacketBuilder.Ethernet().IPv4("10.1.0.1", "198.18.0.2").Tcp(999, 80).Payload(40).Build()),
        new("fragment", PacketBuilder.Ethernet().IPv4("10.1.0.1", "198.18.0.1", fragmentOffset: 8, protocol: IpProtocol.Tcp).Payload(40).Build()),
        new("ICMP", PacketBuilder.Ethernet().IPv4("10.1.0.1", "198.18.0.1").Icmp(8).Payload(40).Build()),
    ];

    private static byte[] Tcp(ushort port) => PacketBuilder.Ethernet().IPv4("10.1.0.1", "198.18.0.1").Tcp(port, 80).Payload(64).Build();

    internal override void Fill()
    {
        ServiceKey Key(string address, ushort port, IpProtocol protocol) =>
            new() { Address = IpAddress.Parse(address).RawIPv4, Port = NetworkUInt16.From(port).Raw, Protocol = (ushort)protocol };
        _services.Set(Key("198.18.0.1", 80, IpProtocol.Tcp), new Service { Id = 0 });
        _services.Set(Key("198.18.0.1", 53, IpProtocol.Udp), new Service { Id = 1 });
        _services.Set(Key("198.18.0.2", 80, IpProtocol.Tcp), new Service { Id = 2 });
        for (var i = 0u; i < 2 * Ring; i++)
        {
            _ring.Set(i, 1 + (i * 7 % 20));
        }

        for (var i = 1u; i <= 20; i++)
        {
            _backends.Set(i, new Backend { Address = IpAddress.Parse($"10.2.0.{i}").RawIPv4, Mac = MacAddress.Parse($"02:00:00:00:01:{i:x2}") });
        }
    }

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        var port = (NetworkUInt16*)(ip + 1);
        if ((byte*)(port + 2) > end || ethernet->EtherType != EtherTypes.IPv4 || ip->VersionIhl != 0x45)
        {
            return XdpAction.Pass;
        }

        if ((ip->Protocol != IpProtocol.Tcp && ip->Protocol != IpProtocol.Udp) || (ip->FlagsOffset.Raw & NetworkUInt16.From(0x3FFF).Raw) != 0)
        {
            return XdpAction.Pass;
        }

        var wanted = new ServiceKey { Address = ip->Destination.Raw, Port = port[1].Raw, Protocol = (ushort)ip->Protocol };
        ref var service = ref _services.Find(in wanted);
        if (Unsafe.IsNullRef(ref service))
        {
            return XdpAction.Pass;
        }

        var length = ip->TotalLength.Value;
        service.Packets++;
        service.Bytes += length;

        var key = new ConnectionKey
        {
            Source = ip->Source.Raw, Destination = ip->Destination.Raw, Ports = port[0].Raw | ((uint)port[1].Raw << 16), Protocol = (uint)ip->Protocol,
        };
        uint index;
        ref var known = ref _connections.Find(in key);
        if (!Unsafe.IsNullRef(ref known))
        {
            index = known;
        }
        else
        {
            ref var chosen = ref _ring.Find((service.Id * Ring) + (Hash(key.Source, key.Destination, key.Ports) % Ring));
            if (Unsafe.IsNullRef(ref chosen))
            {
                return XdpAction.Drop;
            }

            index = chosen;
            _connections.Update(in key, in index, UpdateMode.Any);
        }

        ref var backend = ref _backends.Find(in index);
        if (Unsafe.IsNullRef(ref backend) || backend.Address == 0)
        {
            return XdpAction.Drop;
        }

        backend.Packets++;

        if (context.AdjustHead(-sizeof(IPv4Header)) != 0)
        {
            return XdpAction.Aborted;
        }

        data = context.Data;
        end = context.DataEnd;
        var outer = (EthernetHeader*)data;
        var tunnel = (IPv4Header*)(outer + 1);
        var inner = (EthernetHeader*)(data + sizeof(IPv4Header));
        if ((byte*)(inner + 1) > end)
        {
            return XdpAction.Aborted;
        }

        outer->Source = inner->Destination;
        outer->Destination = backend.Mac;
        outer->EtherType = EtherTypes.IPv4;
        tunnel->VersionIhl = 0x45;
        tunnel->TypeOfService = 0;
        tunnel->TotalLength = NetworkUInt16.From((ushort)(length + sizeof(IPv4Header)));
        tunnel->Identification = default;
        tunnel->FlagsOffset = NetworkUInt16.From(0x4000);
        tunnel->TimeToLive = 64;
        tunnel->Protocol = IpProtocol.IPv4;
        tunnel->Checksum = default;
        tunnel->Source = NetworkUInt32.From(OuterSource);
        tunnel->Destination = NetworkUInt32.FromRaw(backend.Address);
        var sum = 0u;
        var word = (ushort*)tunnel;
        for (var i = 0; i < 10; i++)
        {
            sum += word[i];
        }

        tunnel->Checksum = NetworkUInt16.FromRaw(Fold(sum));
        return XdpAction.Tx;
    }

    private static uint Hash(uint a, uint b, uint c)
    {
        a += 0xDEADBEF7;
        b += 0xDEADBEF7;
        c += 0xDEADBEF7;
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

    private struct ServiceKey
    {
        internal uint Address;
        internal ushort Port;
        internal ushort Protocol;
    }

    private struct Service
    {
        internal uint Id;
        internal uint Flags;
        internal ulong Packets;
        internal ulong Bytes;
    }

    private struct ConnectionKey
    {
        internal uint Source;
        internal uint Destination;
        internal uint Ports;
        internal uint Protocol;
    }

    private struct Backend
    {
        internal uint Address;
        internal MacAddress Mac;
        internal ushort Reserved;
        internal ulong Packets;
    }
}
