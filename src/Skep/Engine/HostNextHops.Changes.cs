using Skep.Bpf;
using Skep.Bpf.Kernel;
using Skep.Packets;

namespace Skep.Engine;

/// <summary>What the kernel tells of its tables, and what of what is known it makes void.</summary>
public sealed partial class HostNextHops
{
    private const uint Groups = NetlinkMonitor.Links | NetlinkMonitor.Neighbours | NetlinkMonitor.IPv4Addresses | NetlinkMonitor.IPv6Addresses
        | NetlinkMonitor.IPv4Routes | NetlinkMonitor.IPv6Routes | NetlinkMonitor.IPv4Rules | NetlinkMonitor.IPv6Rules | NetlinkMonitor.NextHops;

    // How long the thread that listens goes on after it is told to end.
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(200);

    private readonly object _gate = new();
    private readonly SemaphoreSlim _changes = new(0, 1);
    private readonly Dictionary<IpAddress, Route?> _routes = [];
    private readonly HashSet<(int Interface, IpAddress Via)> _watched = [];
    private IReadOnlyCollection<IpAddress> _backends = [];
    private Dictionary<int, Link>? _links;
    private Dictionary<(int, IpAddress), Neighbour>? _neighbours;
    private NetlinkMonitor? _monitor;
    private Thread? _listener;
    private volatile bool _isEnding;

    /// <inheritdoc/>
    public Task WaitForChangeAsync(CancellationToken cancellation) => _changes.WaitAsync(cancellation);

    /// <inheritdoc/>
    public void Forget()
    {
        lock (_gate)
        {
            _links = null;
            _neighbours = null;
            _routes.Clear();
        }
    }

    // Before anything is read: what changes from then on is told.
    private void Listen()
    {
        if (_monitor is null && !_isEnding)
        {
            _monitor = new NetlinkMonitor(Groups, s_patience);
            _listener = new Thread(Follow) { IsBackground = true, Name = "next hops" };
            _listener.Start();
        }
    }

    private void StopListening()
    {
        _isEnding = true;
        _listener?.Join();
        _monitor?.Dispose();
    }

    private void Follow()
    {
        try
        {
            while (!_isEnding)
            {
                if (_monitor!.Read(Hear) == NetlinkReading.Lost)
                {
                    Forget();
                    Tell();
                }
            }
        }
        catch (BpfException)
        {
            // Nothing will be told any more. Who follows the ways looks at all of them now and then anyway.
        }
    }

    private void Hear(ushort type, ReadOnlySpan<byte> payload)
    {
        lock (_gate)
        {
            if (Takes(type, payload))
            {
                Tell();
            }
        }
    }

    private void Tell()
    {
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
            if (_changes.CurrentCount == 0)
            {
                _changes.Release();
            }
        }
    }

    // Whether a message may change the way to a backend.
    private bool Takes(ushort type, ReadOnlySpan<byte> payload)
    {
        switch (type)
        {
            case NetlinkMessage.NewNeighbour or NetlinkMessage.DeleteNeighbour:
                return TryReadNeighbour(payload, out var key, out var neighbour)
                    && (type == NetlinkMessage.NewNeighbour ? Learn(key, neighbour) : _neighbours?.Remove(key) == true) && _watched.Contains(key);
            case NetlinkMessage.NewRoute or NetlinkMessage.DeleteRoute:
                return DropRoutes(payload);
            case NetlinkMessage.NewLink or NetlinkMessage.DeleteLink:
                // Routes by a link that goes down disappear without a word.
                _links = null;
                _routes.Clear();
                return true;
            default:
                _routes.Clear();
                return true;
        }
    }

    private bool Learn((int, IpAddress) key, Neighbour neighbour)
    {
        if (_neighbours is null || (_neighbours.TryGetValue(key, out var before) && before == neighbour))
        {
            return false;
        }

        _neighbours[key] = neighbour;
        return true;
    }

    // Only for backends that the route leads to: a router's table changes all the time.
    private bool DropRoutes(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 12)
        {
            return false;
        }

        var length = payload[1];
        var isIPv4 = payload[0] == 2;
        var prefix = NetlinkMessage.Find(payload[12..], RouteDestination) is { Length: 4 or 16 } address
            ? new IpPrefix(IpAddress.FromBytes(address), length)
            : (IpPrefix?)null;
        var isAny = false;
        foreach (var backend in _backends)
        {
            if (backend.IsIPv4 == isIPv4 && prefix?.Contains(backend) != false)
            {
                isAny |= _routes.Remove(backend);
            }
        }

        return isAny;
    }
}
