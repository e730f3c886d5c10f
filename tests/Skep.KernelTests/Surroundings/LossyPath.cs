using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Surroundings;

/// <summary>
/// Two namespaces behind a token bucket of 20 Mbit/s. The receiver loses the full segments with the given numbers, the same in every run.
/// </summary>
internal sealed class LossyPath : IDisposable
{
    private const int Tcp = 6, Congestion = 13;

    private readonly TestNamespace _sender = new(), _receiver = new();
    private readonly Dropper _dropper;
    private readonly LoadedProgram _program;
    private readonly Link _link;

    public LossyPath(params uint[] lost)
    {
        var (near, far) = _sender.Connect(_receiver, "near0", "far0", IPAddress.Parse("10.7.0.1"), IPAddress.Parse("10.7.0.2"));
        _sender.Run(() => Run("tc", "qdisc", "add", "dev", "near0", "root", "tbf", "rate", "20mbit", "burst", "3200", "latency", "60ms"));
        _ = near;
        _dropper = new Dropper(lost);
        _program = ProgramLoader.Load(ProgramCompiler.Compile(_dropper));
        _link = _receiver.Run(() => TcxLink.Attach(_program, far, TcDirection.Ingress));
    }

    /// <summary>Full segments that came, lost ones too.</summary>
    public ulong Segments => _dropper.Seen.Value;

    /// <summary>Sends over a connection with the congestion control, and returns the bytes that came and a hash over them.</summary>
    public (long Bytes, ulong Hash) Send(string congestionControl, int bytes, Action? halfway = null)
    {
        using var listener = _receiver.Run(() =>
        {
            var l = new TcpListener(IPAddress.Parse("10.7.0.2"), 0);
            l.Start();
            return l;
        });
        using var client = _sender.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        client.SetRawSocketOption(Tcp, Congestion, System.Text.Encoding.ASCII.GetBytes(congestionControl));
        client.Connect(listener.LocalEndpoint);
        using var server = listener.AcceptSocket();
        var received = Task.Run(() =>
        {
            var buffer = new byte[1 << 16];
            var (total, hash) = (0L, 14695981039346656037ul);
            for (int n; (n = server.Receive(buffer)) > 0; total += n)
            {
                foreach (var b in buffer.AsSpan(0, n))
                {
                    hash = (hash ^ b) * 1099511628211;
                }
            }

            return (total, hash);
        });
        var data = new byte[bytes];
        for (var i = 0; i < data.Length; i++)
        {
            data[i] = (byte)(i * 31 >> 3);
        }

        var half = bytes / 2;
        SendAll(client, data.AsSpan(0, half));
        halfway?.Invoke();
        SendAll(client, data.AsSpan(half));
        client.Shutdown(SocketShutdown.Send);
        return received.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        _link.Dispose();
        _program.Dispose();
        _dropper.Seen.Dispose();
        _sender.Dispose();
        _receiver.Dispose();
    }

    private static void SendAll(Socket socket, ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            data = data[socket.Send(data)..];
        }
    }

    private static void Run(string tool, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardError = true })!;
        var words = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{tool} {string.Join(' ', arguments)}: {words}");
    }

    /// <summary>Counts full segments and drops those at the numbers given, up to eight of them.</summary>
    private sealed class Dropper(uint[] lost) : TcProgram
    {
        private readonly uint _a = At(lost, 0), _b = At(lost, 1), _c = At(lost, 2), _d = At(lost, 3), _e = At(lost, 4), _f = At(lost, 5), _g = At(lost, 6), _h = At(lost, 7);

        public readonly Global<ulong> Seen = new("segments");

        public override TcAction Run(ref TcContext context)
        {
            if (context.Length < 1000)
            {
                return TcAction.Unspec;
            }

            var number = (uint)++Seen.Value;
            return number == _a || number == _b || number == _c || number == _d || number == _e || number == _f || number == _g || number == _h ? TcAction.Shot : TcAction.Unspec;
        }

        private static uint At(uint[] lost, int index) => index < lost.Length ? lost[index] : 0;
    }
}
