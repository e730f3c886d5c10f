using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>
/// Where checks through tunnels come from: a network namespace of this process's own, in which virtual addresses are anybody's and this host's routes, rules and filters do not
/// count. What is sent there leaves in a backend's outer headers; what the backend answers is handed back where it comes in. All of it ends with the process. Kernel 6.6.
/// </summary>
/// <code>
/// socket in the namespace -- cable -- CheckOutProgram (XDP, generic) -- outer headers --> interface towards the backend
/// socket in the namespace -- cable -- CheckBackProgram (traffic control) &lt;-- answer -------- interface towards the backend
/// </code>
public sealed partial class CheckNetwork : IDisposable
{
    // IPv6 asks for that much; no answer is larger either, because the other side is told.
    private const uint Mtu = 1280;
    private const string InnerDevice = "check";

    private readonly Lock _gate = new();
    private readonly CheckMaps _maps = new();
    private readonly NetworkNamespace _space;
    private readonly NetlinkSocket _inner;
    private readonly LoadedProgram _back;
    private readonly Dictionary<int, Link> _links = [];
    private readonly HashSet<IPAddress> _sources = [];
    private readonly List<IDisposable> _owned = [];
    private ushort _port = CheckMaps.FirstPort;

    /// <summary>Makes the namespace, the cable to it and the programs.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public CheckNetwork()
    {
        try
        {
            _owned.Add(_space = NetworkNamespace.Create("skep-checks"));
            var name = string.Create(CultureInfo.InvariantCulture, $"skep{Environment.ProcessId}");
            _inner = _space.Run(() => new NetlinkSocket());
            _owned.Add(_inner);
            var (outer, mac) = Lay(name);
            _maps.Checks.Bind(KernelMapStorage.Create(_maps.Checks));
            _owned.Add(_maps.Checks);
            var sent = ProgramLoader.Load(ProgramCompiler.Compile(new CheckOutProgram(_maps)));
            _owned.Add(sent);
            _back = ProgramLoader.Load(ProgramCompiler.Compile(new CheckBackProgram(_maps, outer, mac)));
            _owned.Add(_back);
            // Generic: frames then leave by any device, whether its driver takes redirected ones or not.
            _owned.Add(XdpLink.Attach(sent, outer, XdpMode.Generic));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>A way for a check.</summary>
    /// <param name="path">Which backend, for which service.</param>
    /// <param name="hop">The way to the backend.</param>
    /// <param name="target">The virtual address and the port that is asked.</param>
    /// <param name="source">Address of this host that backends answer to.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    internal CheckWay Open(TunnelPath path, in BackendPath hop, IPEndPoint target, IPAddress source)
    {
        lock (_gate)
        {
            Follow(hop);
            if (_sources.Add(source))
            {
                AddSource(source);
            }
        }

        return new TunnelWay(this, Tunnel.Of(0, path.Mode, new BackendModel(path.Backend, 0), hop), target, source);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var link in _links.Values)
        {
            link.Dispose();
        }

        // The cable ends with the namespace: its last user is gone then.
        for (var i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }
    }

    // Answers come in where packets to the backend leave; of a VLAN, at its device, where they have no tag any more.
    private void Follow(in BackendPath hop)
    {
        var vlan = hop.VlanId;
        foreach (var index in vlan == 0 ? [hop.Interface] : HostInterfaces.List().Where(d => d.Kind == "vlan").Select(d => d.Index))
        {
            if (!_links.ContainsKey(index))
            {
                var link = TcxLink.Attach(_back, index, TcDirection.Ingress);
                if (link.UsesNetlink)
                {
                    link.Detach();
                    link.Dispose();
                    throw new BpfException("This kernel has no tcx, from 6.6 on, without which a program would outlive the agent", -Errno.NotSupported);
                }

                _links.Add(index, link);
            }
        }
    }

    // A range of ports that nobody else has in the namespace; one of an earlier check may still be closing.
    private ushort NextPort()
    {
        lock (_gate)
        {
            var port = _port;
            _port = port == ushort.MaxValue ? CheckMaps.FirstPort : (ushort)(port + 1);
            return port;
        }
    }

    private sealed class TunnelWay(CheckNetwork network, Tunnel tunnel, IPEndPoint target, IPAddress source) : CheckWay
    {
        private const int Attempts = 64;

        private readonly List<ConnectionKey> _keys = [];

        public override IPEndPoint Target => target;

        public override Socket Open(SocketType type, ProtocolType protocol)
        {
            var socket = network._space.Run(() => new Socket(target.AddressFamily, type, protocol));
            try
            {
                var port = Bind(socket);
                if (type == SocketType.Stream)
                {
                    // It ends with a reset: nothing is left of it on either side.
                    socket.LingerState = new LingerOption(true, 0);
                }

                var key = new ConnectionKey
                {
                    Source = IpAddress.From(source),
                    Destination = IpAddress.From(target.Address),
                    RawPorts = NetworkUInt16.From(port).Raw | ((uint)NetworkUInt16.From((ushort)target.Port).Raw << 16),
                    Protocol = (uint)protocol,
                };
                network._maps.Checks.Set(in key, in tunnel);
                lock (_keys)
                {
                    _keys.Add(key);
                }

                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        public override void Dispose()
        {
            lock (_keys)
            {
                _keys.ForEach(k => network._maps.Checks.Remove(in k));
                _keys.Clear();
            }
        }

        private ushort Bind(Socket socket)
        {
            for (var i = 0; ; i++)
            {
                var port = network.NextPort();
                try
                {
                    socket.Bind(new IPEndPoint(source, port));
                    return port;
                }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse && i < Attempts)
                {
                    // The next one.
                }
            }
        }
    }
}
