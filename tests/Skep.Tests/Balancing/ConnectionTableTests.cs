using Skep.Balancing;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

public sealed class ConnectionTableTests
{
    private const string Client = "192.0.2.10";
    private const string Vip = "198.51.100.1";
    private const string Home = "10.1.0.1";

    [Fact]
    public void A_connection_is_listed_as_the_client_sees_it()
    {
        using var bed = Bed();
        bed.State.Connections.Tick(100);
        bed.Run(ToVip(IpProtocol.Tcp, TcpFlags.Syn));
        bed.State.Connections.Tick(7);
        var backend = bed.State.Balancer.Services[0].Backends[0].Id;
        Assert.Equal(
            new ConnectionState(
                IpAddress.Parse(Client), 4000, IpAddress.Parse(Vip), 80, IpProtocol.Tcp, backend, IpAddress.Parse(Home), 8080, ConnectionEnd.None, TimeSpan.FromSeconds(7)),
            Assert.Single(bed.State.Connections.List()));
    }

    [Theory]
    [InlineData(IpProtocol.Tcp, TcpFlags.Ack, TcpFlags.Ack, 130 * 60)]
    [InlineData(IpProtocol.Tcp, TcpFlags.Fin, TcpFlags.Ack, 60)]
    [InlineData(IpProtocol.Tcp, TcpFlags.Ack, TcpFlags.Fin, 60)]
    [InlineData(IpProtocol.Tcp, TcpFlags.Fin, TcpFlags.Fin, 10)]
    [InlineData(IpProtocol.Tcp, TcpFlags.Ack, TcpFlags.Rst, 10)]
    [InlineData(IpProtocol.Tcp, TcpFlags.Rst, TcpFlags.Ack, 10)]
    [InlineData(IpProtocol.Udp, TcpFlags.None, TcpFlags.None, 120)]
    public void A_connection_is_forgotten_after_the_silence_its_state_allows(IpProtocol protocol, TcpFlags client, TcpFlags backend, uint seconds)
    {
        using var bed = Bed();
        bed.Run(ToVip(protocol, TcpFlags.Syn));
        bed.Run(ToVip(protocol, client));
        bed.Run(ToClient(protocol, backend));
        bed.State.Connections.Tick(seconds);
        Assert.Equal(0, bed.State.Connections.Sweep());
        bed.State.Connections.Tick(1);
        Assert.Equal(1, bed.State.Connections.Sweep());
        Assert.Empty(bed.Connections.All);
    }

    [Fact]
    public void Either_direction_keeps_a_connection_alive()
    {
        using var bed = Bed();
        bed.Run(ToVip(IpProtocol.Udp, TcpFlags.None));
        for (var i = 0; i < 5; i++)
        {
            bed.State.Connections.Tick(100);
            bed.Run(ToClient(IpProtocol.Udp, TcpFlags.None));
            Assert.Equal(0, bed.State.Connections.Sweep());
        }
    }

    [Fact]
    public void An_entry_stamped_after_the_clock_was_read_is_not_idle()
    {
        using var bed = Bed();
        bed.State.Connections.Tick(5);
        bed.Run(ToVip(IpProtocol.Tcp, TcpFlags.Syn));
        // As if the reader had taken the time two seconds before the packets came.
        bed.Maps.Balancing.Clock.Value = 3;
        Assert.Equal(TimeSpan.Zero, Assert.Single(bed.State.Connections.List()).Idle);
        Assert.Equal(0, bed.State.Connections.Sweep());
    }

    private static EdgeBed Bed() => new(prepare: s => s.Balancer.Apply(
    [
        EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(Home, 8080)),
        EdgeBed.Service("web", Vip, 80, IpProtocol.Udp, EdgeBed.Backend(Home, 8080)),
    ]));

    private static byte[] ToVip(IpProtocol protocol, TcpFlags flags) => Packet(Client, 4000, Vip, 80, protocol, flags);

    private static byte[] ToClient(IpProtocol protocol, TcpFlags flags) => Packet(Home, 8080, Client, 4000, protocol, flags);

    private static byte[] Packet(string from, ushort fromPort, string to, ushort toPort, IpProtocol protocol, TcpFlags flags)
    {
        var ip = PacketBuilder.Ethernet().IPv4(from, to);
        return (protocol == IpProtocol.Tcp ? ip.Tcp(fromPort, toPort, flags) : ip.Udp(fromPort, toPort)).Build();
    }
}
