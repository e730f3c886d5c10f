using Skep.Bpf.Twin;
using Skep.Edge;
using Skep.Flows;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Flows;

/// <summary>A host that balances and observes: each packet goes through XDP first and through TC as XDP left it.</summary>
public sealed class BalancedFlowTests : IDisposable
{
    private const uint Outside = 3;
    private const uint Inside = 4;
    private const string Client = "192.0.2.10";
    private const string Vip = "198.51.100.1";
    private const string Home = "10.1.0.1";

    private readonly EdgeBed _edge = new(prepare: s => s.Balancer.Apply(
    [
        EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(Home, 8080)),
        EdgeBed.Service("dns", Vip, 53, IpProtocol.Udp, EdgeBed.Backend(Home, 53)),
    ]));

    private readonly FlowMaps _maps = new(64, 4096);
    private readonly FlowProgram _in;
    private readonly FlowProgram _out;
    private readonly FlowTable _table;

    public BalancedFlowTests()
    {
        _in = new FlowProgram(_maps, FlowHook.Ingress);
        _out = new FlowProgram(_maps, FlowHook.Egress);
        foreach (var map in _maps.All)
        {
            _edge.Twin.Bind(map);
        }

        _table = new FlowTable(_maps, _edge.Time, translations: packet =>
            _edge.State.Connections.FindRewritten(packet.Source, packet.SourcePort, packet.Destination, packet.DestinationPort, packet.Protocol) is { } found
                ? new FlowTranslation(found.Service, found.ServicePort, found.Backend, found.BackendPort)
                : null);
    }

    [Theory]
    [InlineData(IpProtocol.Tcp, 80, 8080)]
    [InlineData(IpProtocol.Udp, 53, 53)]
    public void Each_interface_shows_one_flow_with_client_service_and_backend(IpProtocol protocol, ushort port, ushort backendPort)
    {
        Pass(Packet(protocol, Client, 4000, Vip, port, TcpFlags.Syn, 10), Outside, Inside);
        Pass(Packet(protocol, Home, backendPort, Client, 4000, TcpFlags.Syn | TcpFlags.Ack, 200), Inside, Outside);
        Pass(Packet(protocol, Client, 4000, Vip, port, TcpFlags.Ack, 10), Outside, Inside);

        var flows = _table.Read();
        Assert.Equal(2, flows.Length);
        Assert.All(flows, flow =>
        {
            Assert.Equal($"{Client}:4000 -> {Vip}:{port} {protocol}", flow.ToString());
            Assert.Equal((IpAddress.Parse(Home), backendPort), (flow.Backend!.Value, flow.BackendPort));
            var (asked, answered) = flow.IsOutgoing ? (flow.Sent, flow.Received) : (flow.Received, flow.Sent);
            Assert.Equal((2ul, 1ul), (asked.Packets, answered.Packets));
            Assert.Equal(protocol == IpProtocol.Tcp ? FlowState.Established : FlowState.Active, flow.State);
        });
        Assert.Equal([Outside, Inside], flows.Select(f => f.Interface).Order());
    }

    [Fact]
    public void Both_FINs_end_the_flow_though_each_half_saw_one()
    {
        Pass(Packet(IpProtocol.Tcp, Client, 4000, Vip, 80, TcpFlags.Syn, 0), Outside, Inside);
        Pass(Packet(IpProtocol.Tcp, Home, 8080, Client, 4000, TcpFlags.Fin | TcpFlags.Ack, 0), Inside, Outside);
        Pass(Packet(IpProtocol.Tcp, Client, 4000, Vip, 80, TcpFlags.Fin | TcpFlags.Ack, 0), Outside, Inside);
        Assert.All(_table.Read(), f => Assert.Equal((FlowEnd.Finished, FlowState.Finished), (f.End, f.State)));
        Assert.Empty(FlowBed.Swept(_table));
        _edge.Twin.Environment.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal([FlowEnd.Finished, FlowEnd.Finished], FlowBed.Swept(_table).Select(f => f.End));
        Assert.Empty(_maps.Table.Keys);
    }

    [Fact]
    public void What_is_not_balanced_stays_as_it_is()
    {
        Pass(Packet(IpProtocol.Tcp, Client, 4000, "203.0.113.9", 80, TcpFlags.Syn, 0), Outside, Inside);
        Assert.All(_table.Read(), f => Assert.Null(f.Backend));
        Assert.Equal(2, _table.Read().Length);
    }

    public void Dispose() => _edge.Dispose();

    private void Pass(byte[] frame, uint from, uint to)
    {
        var rewritten = _edge.Twin.Run(_edge.Program, frame).Packet.ToArray();
        _edge.Twin.Run(_in, rewritten, new TcRunOptions(Interface: from));
        _edge.Twin.Run(_out, rewritten, new TcRunOptions(Interface: to));
    }

    private static byte[] Packet(IpProtocol protocol, string from, ushort fromPort, string to, ushort toPort, TcpFlags flags, int bytes)
    {
        var ip = PacketBuilder.Ethernet().IPv4(from, to);
        return (protocol == IpProtocol.Tcp ? ip.Tcp(fromPort, toPort, flags) : ip.Udp(fromPort, toPort)).Payload(bytes).Build();
    }
}
