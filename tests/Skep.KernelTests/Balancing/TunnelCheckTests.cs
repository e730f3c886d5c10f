using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text;
using Skep.Balancing;
using Skep.Balancing.Health;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>
/// Health checks in outer headers, from a balancer that has the virtual addresses itself and no route to anywhere, to a backend on its link.
/// </summary>
public sealed class TunnelCheckTests : IDisposable
{
    private const ushort Port = 80;
    private static readonly EdgeOptions s_options = new()
    {
        RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 64, BlockAddresses = false, BlockPrefixes = false, Balance = false, Measure = false,
        Decapsulate = true, MaxFlows = 64,
    };

    private readonly TestNamespace _balancer = new();
    private readonly TestNamespace _backend = new();
    private readonly CheckNetwork _network;
    private readonly List<IDisposable> _owned = [];
    private readonly int _here;
    private readonly int _there;

    public TunnelCheckTests()
    {
        Kernel.Require();
        foreach (var space in new[] { _balancer, _backend })
        {
            // An address that is still asked for answers nobody.
            space.Run(() => File.WriteAllText("/proc/sys/net/ipv6/conf/default/accept_dad", "0"));
        }

        (_here, _there) = _balancer.Connect(_backend, "eth0", "eth0", IPAddress.Parse("10.89.1.1"), IPAddress.Parse("10.89.1.2"));
        foreach (var (space, index, address) in new[] { (_balancer, _here, "fd89:1::1"), (_backend, _there, "fd89:1::2") })
        {
            space.Run(() =>
            {
                RtNetlink.AddAddress(index, IPAddress.Parse(address), 64);
                foreach (var isIPv6 in new[] { false, true })
                {
                    RtNetlink.AddAddress(RtNetlink.IndexOf("lo"), Virtual(isIPv6).ToIPAddress(), isIPv6 ? 128 : 32);
                }
            });
        }

        // Or it would ask for the balancer's Ethernet address in the name of the virtual one, which is the balancer's own.
        _backend.Run(() => File.WriteAllText("/proc/sys/net/ipv4/conf/all/arp_announce", "2"));
        _network = _balancer.Run(() => new CheckNetwork());
    }

    public void Dispose()
    {
        _owned.ForEach(o => o.Dispose());
        _network.Dispose();
        _backend.Dispose();
        _balancer.Dispose();
    }

    public static TheoryData<ForwardingMode, bool, bool> Ways()
    {
        var ways = new TheoryData<ForwardingMode, bool, bool>();
        foreach (var mode in new[] { ForwardingMode.IpIp, ForwardingMode.Gue, ForwardingMode.Geneve })
        {
            ways.Add(mode, false, false);
            ways.Add(mode, true, true);
        }

        ways.Add(ForwardingMode.IpIp, false, true);
        ways.Add(ForwardingMode.Gue, true, false);
        ways.Add(ForwardingMode.L2, false, false);
        ways.Add(ForwardingMode.L2, true, true);
        return ways;
    }

    [KernelTheory]
    [MemberData(nameof(Ways))]
    public async Task Checks_of_every_kind_go_the_way_of_clients_and_come_back(ForwardingMode mode, bool isIPv6, bool outerIPv6)
    {
        if (mode != ForwardingMode.L2)
        {
            TakeHeadersOff();
        }

        Serve(isIPv6);
        foreach (var type in new[] { HealthCheckType.Tcp, HealthCheckType.Http, HealthCheckType.Udp })
        {
            var result = await CheckAsync(new HealthCheck { Type = type, Send = "ping", Expect = type == HealthCheckType.Tcp ? null : "pong" }, mode, isIPv6, outerIPv6);
            Assert.True(result.IsAlive, $"{type}: {result.Reason}");
        }

        // Nothing is left of them in the way of the next ones.
        for (var i = 0; i < 20; i++)
        {
            var result = await CheckAsync(new HealthCheck { Type = HealthCheckType.Http }, mode, isIPv6, outerIPv6);
            Assert.True(result.IsAlive, result.Reason);
        }
    }

    [KernelFact]
    public async Task A_backend_that_takes_no_headers_off_is_not_reached_and_one_that_does_not_listen_refuses()
    {
        var check = new HealthCheck { Type = HealthCheckType.Tcp, Timeout = TimeSpan.FromSeconds(1) };
        Serve(false);
        Assert.Equal((false, "no answer in 1000 ms"), await ToldAsync(check));
        TakeHeadersOff();
        Assert.True((await ToldAsync(check)).IsAlive);
        Assert.Equal((false, "Connection refused"), await ToldAsync(check, port: 81));
    }

    private async Task<(bool IsAlive, string Reason)> ToldAsync(HealthCheck check, ushort port = Port)
    {
        var result = await CheckAsync(check, ForwardingMode.IpIp, false, false, port);
        return (result.IsAlive, result.Reason);
    }

    private async Task<ProbeResult> CheckAsync(HealthCheck check, ForwardingMode mode, bool isIPv6, bool outerIPv6, ushort port = Port)
    {
        var backend = Address(outerIPv6, 2);
        var hop = new BackendPath(IpAddress.From(Address(outerIPv6, 1)), 1500, _here, MacOf(_balancer), MacOf(_backend));
        var path = new TunnelPath(IpAddress.From(backend), mode, Virtual(isIPv6));
        using var way = _balancer.Run(() => _network.Open(path, in hop, new IPEndPoint(Virtual(isIPv6).ToIPAddress(), port), Address(isIPv6, 1)));
        return await HealthProbe.RunAsync(check, way, TimeProvider.System, TestContext.Current.CancellationToken);
    }

    private static MacAddress MacOf(TestNamespace space) => space.Run(() =>
        new MacAddress(NetworkInterface.GetAllNetworkInterfaces().Single(i => i.Name == "eth0").GetPhysicalAddress().GetAddressBytes()));

    private void TakeHeadersOff()
    {
        var maps = new EdgeMaps(s_options);
        _owned.Add(new KernelStorage(maps.All));
        var addresses = ImmutableDictionary.CreateBuilder<IpAddress, TunnelAddress>();
        foreach (var isIPv6 in new[] { false, true })
        {
            addresses.Add(IpAddress.From(Address(isIPv6, 2)), TunnelAddress.Outer);
            addresses.Add(Virtual(isIPv6), TunnelAddress.Virtual);
        }

        Assert.Empty(new EdgeState(maps, TimeProvider.System).Tunnels.Apply(new(addresses.ToImmutable(), [IpPrefix.Parse("10.89.1.1"), IpPrefix.Parse("fd89:1::1")])));
        var program = ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(maps, s_options)));
        _owned.Add(program);
        _owned.Add(_backend.Run(() => TcxLink.Attach(program, _there, TcDirection.Ingress)));
    }

    private void Serve(bool isIPv6)
    {
        var endpoint = new IPEndPoint(Virtual(isIPv6).ToIPAddress(), Port);
        var listener = _backend.Run(() => new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(endpoint);
        listener.Listen();
        var datagrams = _backend.Run(() => new Socket(endpoint.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        datagrams.Bind(endpoint);
        _owned.Add(listener);
        _owned.Add(datagrams);
        _ = Task.Run(() => UntilClosedAsync(async () =>
        {
            var accepted = await listener.AcceptAsync();
            _ = UntilClosedAsync(async () =>
            {
                using var owned = accepted;
                if (await accepted.ReceiveAsync(new byte[1024]) > 0)
                {
                    await accepted.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npong"));
                }

                throw new ObjectDisposedException("served");
            });
        }));
        _ = Task.Run(() => UntilClosedAsync(async () =>
        {
            var asked = await datagrams.ReceiveFromAsync(new byte[1024], new IPEndPoint(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, 0));
            await datagrams.SendToAsync(Encoding.ASCII.GetBytes("pong"), asked.RemoteEndPoint);
        }));
    }

    private static async Task UntilClosedAsync(Func<Task> step)
    {
        try
        {
            while (true)
            {
                await step();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over, or the client has gone.
        }
    }

    private static IPAddress Address(bool isIPv6, int host) => IPAddress.Parse(isIPv6 ? $"fd89:1::{host}" : $"10.89.1.{host}");

    private static IpAddress Virtual(bool isIPv6) => IpAddress.Parse(isIPv6 ? "fd89:100::1" : "10.89.100.1");
}
