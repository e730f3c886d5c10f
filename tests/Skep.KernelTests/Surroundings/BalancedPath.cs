using System.Net;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Surroundings;

/// <summary>
/// A client and a server in namespaces of their own, joined by veth pairs to a third that forwards, all offloads on as the kernel makes them; a program
/// runs at traffic control where both cables end there. The virtual addresses are on no device.
/// </summary>
internal sealed class BalancedPath : IDisposable
{
    private readonly TestNamespace _middle = new();
    private readonly List<IDisposable> _attached = [];

    public BalancedPath(TcProgram program)
    {
        _middle.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
            File.WriteAllText("/proc/sys/net/ipv6/conf/all/forwarding", "1");
        });
        var toClient = Cable(Client, "client", "10.88.1.", "fd88:1::");
        var toServer = Cable(Server, "server", "10.88.2.", "fd88:2::");
        var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        foreach (var index in new[] { toClient, toServer })
        {
            _attached.Add(_middle.Run(() => TcxLink.Attach(loaded, index, TcDirection.Ingress)));
        }

        _attached.Add(loaded);
    }

    public TestNamespace Client { get; } = new();

    public TestNamespace Server { get; } = new();

    public static IPAddress VirtualAddress(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd88:100::1" : "10.88.100.1");

    public static IPAddress ServerAddress(bool isIPv6) => IPAddress.Parse(isIPv6 ? "fd88:2::2" : "10.88.2.2");

    public void Dispose()
    {
        _attached.ForEach(a => a.Dispose());
        Client.Dispose();
        Server.Dispose();
        _middle.Dispose();
    }

    private int Cable(TestNamespace end, string name, string prefix4, string prefix6)
    {
        var (here, there) = _middle.Connect(end, name, "eth0", IPAddress.Parse(prefix4 + "1"), IPAddress.Parse(prefix4 + "2"));
        _middle.Run(() => RtNetlink.AddAddress(here, IPAddress.Parse(prefix6 + "1"), 64));
        end.Run(() =>
        {
            RtNetlink.AddAddress(there, IPAddress.Parse(prefix6 + "2"), 64);
            RtNetlink.AddRoute(IPAddress.Any, 0, IPAddress.Parse(prefix4 + "1"));
            RtNetlink.AddRoute(IPAddress.IPv6Any, 0, IPAddress.Parse(prefix6 + "1"));
        });
        return here;
    }
}
