using System.Net;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Surroundings;

/// <summary>
/// A client and a server in namespaces of their own, joined by veth pairs to a third that forwards, all offloads on as the kernel makes them; a program
/// runs at traffic control where both cables end there, and if it is given another where packets leave it. The virtual addresses are on no device.
/// </summary>
internal sealed class BalancedPath : IDisposable
{
    private readonly List<IDisposable> _attached = [];
    private readonly Dictionary<int, TcxLink> _links = [];

    public BalancedPath(TcProgram program, TcProgram? leaving = null)
    {
        Middle.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
            File.WriteAllText("/proc/sys/net/ipv6/conf/all/forwarding", "1");
            // Packets whose source is an own address now are forwarded as well.
            File.WriteAllText("/proc/sys/net/ipv4/conf/all/accept_local", "1");
        });
        ToClient = Cable(Client, "client", "10.88.1.", "fd88:1::");
        ToServer = Cable(Server, "server", "10.88.2.", "fd88:2::");
        var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        foreach (var index in new[] { ToClient, ToServer })
        {
            _links.Add(index, Middle.Run(() => TcxLink.Attach(loaded, index, TcDirection.Ingress)));
        }

        _attached.AddRange(_links.Values);

        _attached.Add(loaded);
        if (leaving is not null)
        {
            var departing = ProgramLoader.Load(ProgramCompiler.Compile(leaving));
            foreach (var index in new[] { ToClient, ToServer, Middle.Run(() => RtNetlink.IndexOf("lo")) })
            {
                _attached.Add(Middle.Run(() => TcxLink.Attach(departing, index, TcDirection.Egress)));
            }

            _attached.Add(departing);
        }
    }

    public TestNamespace Middle { get; } = new();

    public int ToClient { get; }

    public int ToServer { get; }

    public TestNamespace Client { get; } = new();

    public TestNamespace Server { get; } = new();

    public static IPAddress VirtualAddress(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd88:100::1" : "10.88.100.1");

    public static IPAddress ClientAddress(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd88:1::2" : "10.88.1.2");

    /// <summary>Where the server's cable ends in the middle.</summary>
    public static IPAddress OwnAddress(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd88:2::1" : "10.88.2.1");

    public static IPAddress ServerAddress(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd88:2::2" : "10.88.2.2");

    /// <summary>Devices of the middle.</summary>
    public IReadOnlyList<NetworkDevice> Devices => Middle.Run(NetworkDevice.List);

    /// <summary>Bytes that left by the middle's device to the server: ninth number of its line in /proc/net/dev.</summary>
    public long BytesSentToServer => Middle.Run(() => long.Parse(
        File.ReadLines("/proc/thread-self/net/dev").First(l => l.TrimStart().StartsWith("server:", StringComparison.Ordinal)).Split(':')[1]
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[8], System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Another program takes the place of the one on a side, in one step.</summary>
    public void Exchange(int device, LoadedProgram program) => _links[device].Update(program);

    public void Dispose()
    {
        _attached.ForEach(a => a.Dispose());
        Client.Dispose();
        Server.Dispose();
        Middle.Dispose();
    }

    private int Cable(TestNamespace end, string name, string prefix4, string prefix6)
    {
        var (here, there) = Middle.Connect(end, name, "eth0", IPAddress.Parse(prefix4 + "1"), IPAddress.Parse(prefix4 + "2"));
        Middle.Run(() => RtNetlink.AddAddress(here, IPAddress.Parse(prefix6 + "1"), 64));
        end.Run(() =>
        {
            RtNetlink.AddAddress(there, IPAddress.Parse(prefix6 + "2"), 64);
            RtNetlink.AddRoute(IPAddress.Any, 0, IPAddress.Parse(prefix4 + "1"));
            RtNetlink.AddRoute(IPAddress.IPv6Any, 0, IPAddress.Parse(prefix6 + "1"));
        });
        return here;
    }
}
