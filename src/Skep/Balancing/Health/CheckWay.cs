using System.Net;
using System.Net.Sockets;

namespace Skep.Balancing.Health;

/// <summary>How the packets of one check travel.</summary>
internal abstract class CheckWay : IDisposable
{
    /// <summary>What is asked.</summary>
    public abstract IPEndPoint Target { get; }

    /// <summary>A socket, bound but not connected.</summary>
    /// <exception cref="SocketException">There is no such source.</exception>
    public abstract Socket Open(SocketType type, ProtocolType protocol);

    /// <summary>The check is over, and its sockets are closed.</summary>
    public abstract void Dispose();

    /// <summary>By this host's routes, like any other connection.</summary>
    /// <param name="target">What is asked.</param>
    /// <param name="source">Address of this host; null for what the host chooses.</param>
    public static CheckWay ByAddress(IPEndPoint target, IPAddress? source) => new AddressWay(target, source);

    private sealed class AddressWay(IPEndPoint target, IPAddress? source) : CheckWay
    {
        public override IPEndPoint Target => target;

        public override Socket Open(SocketType type, ProtocolType protocol)
        {
            var socket = new Socket(target.AddressFamily, type, protocol);
            try
            {
                // Only where it is of the backend's family: a service may have both.
                if (source is not null && source.AddressFamily == target.AddressFamily)
                {
                    socket.Bind(new IPEndPoint(source, 0));
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
        }
    }
}
