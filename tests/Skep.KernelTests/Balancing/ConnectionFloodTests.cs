using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>The connection table when many more connections begin than it holds: those that are established stay.</summary>
public sealed class ConnectionFloodTests : IDisposable
{
    private const string Vip = "198.51.100.1", Backend = "10.1.0.1", Own = "10.1.0.253";
    private readonly EdgeOptions _options = new()
    {
        RingSize = 251, RingRows = 1536, MaxServices = 8, MaxBackends = 16, MaxConnections = 4096, MaxSources = 16, BlockAddresses = false, BlockPrefixes = false,
    };

    private EdgeMaps? _maps;
    private EdgeState? _state;
    private LoadedProgram? _program;

    public void Dispose()
    {
        _program?.Dispose();
        foreach (var map in _maps?.All ?? [])
        {
            map.Dispose();
        }
    }

    [KernelTheory]
    [InlineData(IpProtocol.Tcp, false, false)]
    [InlineData(IpProtocol.Tcp, true, false)]
    [InlineData(IpProtocol.Tcp, true, true)]
    [InlineData(IpProtocol.Udp, false, false)]
    public void Established_connections_survive_ten_times_as_many_new_ones_as_the_table_holds(IpProtocol protocol, bool isAnswered, bool translates)
    {
        Load(protocol, translates);

        // Most of the table; with source translation a connection takes two records.
        var established = translates ? 1500 : 3000;
        var ports = new ushort[established];
        for (var i = 0; i < established; i++)
        {
            var (client, port) = ClientOf(i);
            ports[i] = SourcePort(Forwarded(Packet(client, port, Vip, 80, protocol, TcpFlags.Syn)));
            var seen = translates ? Own : client;
            Run(Packet(Backend, 8080, seen, ports[i], protocol, TcpFlags.Syn | TcpFlags.Ack));
            Run(Packet(client, port, Vip, 80, protocol, TcpFlags.Ack));
            Run(Packet(Backend, 8080, seen, ports[i], protocol, TcpFlags.Ack));
        }

        var exhausted = 0;
        for (var i = 0; i < 10 * (int)_options.MaxConnections; i++)
        {
            var client = $"172.{16 + (i >> 16)}.{(i >> 8) & 255}.{i & 255}";
            var sent = Run(Packet(client, 5000, Vip, 80, protocol, TcpFlags.Syn));
            if (sent.ReturnValue != (int)Bpf.Programming.XdpAction.Pass)
            {
                exhausted++;
            }
            else if (isAnswered)
            {
                Run(Packet(Backend, 8080, translates ? Own : client, SourcePort(sent.Output), protocol, TcpFlags.Syn | TcpFlags.Ack));
            }
        }

        var lost = 0;
        for (var i = 0; i < established; i++)
        {
            // The backend speaks first: nothing of the client's brings an entry back.
            var (client, port) = ClientOf(i);
            var answer = Run(Packet(Backend, 8080, translates ? Own : client, ports[i], protocol, TcpFlags.Ack)).Output;
            lost += SourcePort(answer) == 80 && answer[26] == 198 ? 0 : 1;
        }

        // With source translation an established connection moves to a free place only: of the flood itself a few find no room.
        Assert.Equal(0, lost);
        Assert.InRange(exhausted, 0, translates ? (int)_options.MaxConnections / 100 : 0);
    }

    [KernelFact]
    public void A_full_table_of_established_connections_keeps_them_and_refuses_others()
    {
        const uint Connections = 500;
        Load(IpProtocol.Tcp, translates: false, Connections);
        var kept = new List<ushort>();
        for (ushort port = 2000; port < 3000; port++)
        {
            if (Run(Packet("192.0.2.1", port, Vip, 80, IpProtocol.Tcp, TcpFlags.Syn)).ReturnValue == (int)Bpf.Programming.XdpAction.Pass)
            {
                AssertAnswered(port, TcpFlags.Syn | TcpFlags.Ack);
                Forwarded(Packet("192.0.2.1", port, Vip, 80, IpProtocol.Tcp, TcpFlags.Ack));
                AssertAnswered(port, TcpFlags.Ack);
                kept.Add(port);
            }
        }

        Assert.InRange(kept.Count, (int)Connections, (int)_maps!.Balancing.Connections.MaxEntries);
        Assert.Equal(1000ul - (ulong)kept.Count, _state!.ReadCounters()[EdgeVerdict.TableFull].Packets);
        Assert.All(kept, p => AssertAnswered(p, TcpFlags.Ack));

        // One that ends makes room at once.
        Forwarded(Packet("192.0.2.1", kept[0], Vip, 80, IpProtocol.Tcp, TcpFlags.Rst));
        Forwarded(Packet("192.0.2.1", kept[0], Vip, 80, IpProtocol.Tcp, TcpFlags.Syn));
        AssertAnswered(kept[0], TcpFlags.Syn | TcpFlags.Ack);
    }

    private void AssertAnswered(ushort port, TcpFlags flags)
    {
        var answer = Run(Packet(Backend, 8080, "192.0.2.1", port, IpProtocol.Tcp, flags)).Output;
        Assert.True(SourcePort(answer) == 80 && answer[26] == 198, $"the answer to port {port} passed as it was");
    }

    private static (string Address, ushort Port) ClientOf(int number) => ($"192.0.2.{number % 250}", (ushort)(2000 + (number / 250)));

    private void Load(IpProtocol protocol, bool translates, uint? connections = null)
    {
        Kernel.Require();
        var options = _options with { TranslateSources = translates, MaxConnections = connections ?? _options.MaxConnections };
        _maps = new EdgeMaps(options);
        _program = ProgramLoader.Load(ProgramCompiler.Compile(new EdgeProgram(_maps, options), KernelTarget.Running));
        foreach (var map in _maps.All.Where(m => !m.IsBound))
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        var service = new ServiceModel("a", IpAddress.Parse(Vip), 80, protocol, [new BackendModel(IpAddress.Parse(Backend), 8080)])
        {
            SourceTranslation = translates ? new([IpAddress.Parse(Own)]) : null,
        };
        _state = new EdgeState(_maps, TimeProvider.System);
        Assert.Empty(_state.Balancer.Apply([service]));
    }

    private TestRunResult Run(byte[] frame) => _program!.TestRun(frame);

    private byte[] Forwarded(byte[] frame)
    {
        var result = Run(frame);
        Assert.Equal((int)Bpf.Programming.XdpAction.Pass, result.ReturnValue);
        return result.Output;
    }

    private static ushort SourcePort(byte[] frame) => (ushort)((frame[34] << 8) | frame[35]);

    private static byte[] Packet(string from, ushort fromPort, string to, ushort toPort, IpProtocol protocol, TcpFlags flags)
    {
        var ip = PacketBuilder.Ethernet().IPv4(from, to);
        return (protocol == IpProtocol.Tcp ? ip.Tcp(fromPort, toPort, flags) : ip.Udp(fromPort, toPort)).Payload(11).Build();
    }
}
