using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Filtering;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>
/// Connections begin and end all the time through a balancer with two sides while its programs are exchanged, one side after the other: as long as both have another program,
/// the SYN goes through one and its answer through the other. They share the tables, so nothing is lost.
/// </summary>
public sealed class HandshakesDuringExchangeTests
{
    private const ushort VirtualPort = 80, ServerPort = 8080;
    private const int Exchanges = 20, Between = 10, Clients = 4;
    private static readonly EdgeOptions s_options = new() { RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 65536, BlockAddresses = false, BlockPrefixes = false };

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void No_packet_of_a_handshake_is_lost_between_a_new_program_and_an_old_one(bool isIPv6)
    {
        Kernel.Require();
        var maps = new EdgeMaps(s_options);
        using var storage = new KernelStorage(maps.All);
        var state = new EdgeState(maps, TimeProvider.System);
        Assert.Empty(state.Balancer.Apply([new ServiceModel(
            "web", IpAddress.From(BalancedPath.VirtualAddress(isIPv6)), VirtualPort, IpProtocol.Tcp, [new BackendModel(IpAddress.From(BalancedPath.ServerAddress(isIPv6)), ServerPort)])]));
        EdgeOptions[] shapes =
        [
            s_options,
            s_options with { BlockAddresses = true, BlockPrefixes = true },
            s_options with { BypassStack = true },
            s_options with { RateLimit = new SourceRate(1_000_000, 1_000_000), Malformed = PacketPolicy.Drop },
            s_options with { TranslateSources = true },
        ];
        var programs = shapes.Select(o => ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(maps, o)))).ToArray();
        using var path = new BalancedPath(new TcEdgeProgram(maps, s_options));
        using var listener = path.Server.Run(() =>
        {
            var socket = new Socket(Family(isIPv6), SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(BalancedPath.ServerAddress(isIPv6), ServerPort));
            socket.Listen(512);
            return socket;
        });
        var server = Task.Factory.StartNew(() => Echo(listener), TaskCreationOptions.LongRunning);
        var done = 0L;
        var isOver = false;
        var clients = Enumerable.Range(0, Clients).Select(_ => Task.Factory.StartNew(() => Ask(path, isIPv6, ref done, ref isOver), TaskCreationOptions.LongRunning)).ToArray();
        for (var i = 1; i <= Exchanges; i++)
        {
            // Which side comes first takes turns.
            var (first, second) = i % 2 == 0 ? (path.ToClient, path.ToServer) : (path.ToServer, path.ToClient);
            foreach (var side in new[] { first, second })
            {
                path.Exchange(side, programs[i % programs.Length]);
                var before = Volatile.Read(ref done);
                Eventually.True(() => clients.Any(c => c.IsCompleted) || Volatile.Read(ref done) >= before + Between, "connections pass through both programs");
            }
        }

        Volatile.Write(ref isOver, true);
        Task.WaitAll(clients);
        listener.Dispose();
        server.GetAwaiter().GetResult();
        Array.ForEach(programs, p => p.Dispose());

        // An answer that comes untranslated is refused by the client with a reset; a request that finds nobody by the server.
        Assert.Equal((0, 0), (ResetsSent(path.Client), ResetsSent(path.Server)));
        var traffic = state.Balancer.TrafficOf(Assert.Single(Assert.Single(state.Balancer.Services).Backends).Id);
        Assert.Equal((ulong)done, traffic.Connections);
        Assert.True(done >= Exchanges * 2 * Between);
    }

    [KernelFact]
    public void Between_programs_with_tables_of_their_own_the_answer_is_refused()
    {
        Kernel.Require();
        EdgeMaps one = new(s_options), other = new(s_options);
        using KernelStorage ofOne = new(one.All), ofOther = new(other.All);
        foreach (var maps in new[] { one, other })
        {
            Assert.Empty(new EdgeState(maps, TimeProvider.System).Balancer.Apply([new ServiceModel(
                "web", IpAddress.From(BalancedPath.VirtualAddress(false)), VirtualPort, IpProtocol.Tcp, [new BackendModel(IpAddress.From(BalancedPath.ServerAddress(false)), ServerPort)])]));
        }

        using var path = new BalancedPath(new TcEdgeProgram(one, s_options));
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(other, s_options)));
        path.Exchange(path.ToClient, program);
        using var listener = path.Server.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(BalancedPath.ServerAddress(false), ServerPort));
        listener.Listen();
        using var socket = path.Client.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
        Assert.Equal(SocketError.WouldBlock, Assert.Throws<SocketException>(() => socket.Connect(new IPEndPoint(BalancedPath.VirtualAddress(false), VirtualPort))).SocketErrorCode);
        Eventually.True(() => ResetsSent(path.Client) > 0, "the client refuses an answer that names the backend");

        // The SYN comes again, and when both sides share the tables, its answer is known.
        path.Exchange(path.ToServer, program);
        Eventually.True(() => socket.Poll(0, SelectMode.SelectWrite), "the client is connected");
        Assert.Equal(0, (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!);
    }

    private static void Echo(Socket listener)
    {
        try
        {
            var buffer = new byte[1];
            while (true)
            {
                using var connection = listener.Accept();
                connection.ReceiveTimeout = connection.SendTimeout = 20_000;
                while (connection.Receive(buffer) > 0)
                {
                    connection.Send(buffer);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over: while it accepted, or before it did so again.
        }
    }

    private static void Ask(BalancedPath path, bool isIPv6, ref long done, ref bool isOver)
    {
        var buffer = new byte[1];
        while (!Volatile.Read(ref isOver))
        {
            using var socket = path.Client.Run(() => new Socket(Family(isIPv6), SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000, SendTimeout = 20_000 });
            socket.Connect(new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
            socket.Send(buffer);
            Assert.Equal(1, socket.Receive(buffer));
            socket.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, socket.Receive(buffer));
            Interlocked.Increment(ref done);
        }
    }

    // Both families are counted together.
    private static int ResetsSent(TestNamespace host) => host.Run(() =>
    {
        var lines = File.ReadLines("/proc/thread-self/net/snmp").Where(l => l.StartsWith("Tcp:", StringComparison.Ordinal)).Select(l => l.Split(' ')).ToArray();
        return int.Parse(lines[1][Array.IndexOf(lines[0], "OutRsts")], CultureInfo.InvariantCulture);
    });

    private static AddressFamily Family(bool isIPv6) => isIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
}
