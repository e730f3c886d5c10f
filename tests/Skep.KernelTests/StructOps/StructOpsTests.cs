using System.Net;
using System.Net.Sockets;
using System.Text;
using Skep.Bpf;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.StructOps;

/// <summary>Tables of functions: attached, chosen by sockets, replaced while in use, pinned, taken back.</summary>
public unsafe class StructOpsTests
{
    private const int Tcp = 6, Congestion = 13, Once = 200_000;

    [ProvesMap(MapKind.StructOps)]
    [Proves("struct_ops")]
    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_class_is_a_congestion_control_while_it_is_attached(bool byLink)
    {
        var control = new Counting("skep_count");
        using var table = Load(control, byLink);
        Assert.DoesNotContain(control.Name, Available());
        using (var link = table.Attach())
        {
            Assert.Equal(byLink, link.Id != 0);
            Assert.Contains(control.Name, Available());
            Exchange(control.Name, Once);
        }

        Assert.DoesNotContain(control.Name, Available());
        Assert.Throws<SocketException>(() => Exchange(control.Name, 1));
        Assert.Equal(1ul, control.Started.Value);
        Surroundings.Eventually.True(() => control.Ended.Value == 1, "the socket gave its congestion control back");
        Assert.InRange(control.Grown.Value, 1ul, ulong.MaxValue);
        Assert.Equal(control.Grown.Value, control.Remembered.Value);
        Assert.InRange(control.Rtts.Value, 1ul, ulong.MaxValue);
        Forget(table);
    }

    [KernelFact]
    public void A_table_is_replaced_while_connections_use_it()
    {
        var (first, second) = (new Counting("skep_swap"), new Counting("skep_swap"));
        using var before = Load(first);
        using var after = Load(second);
        using (var link = before.Attach())
        {
            var atSwap = 0ul;
            Exchange("skep_swap", Once, () =>
            {
                link.Update(after);
                atSwap = first.Grown.Value;
                Exchange("skep_swap", Once);
            });

            // The open connection ended with the functions it began with, the one opened meanwhile had the new ones.
            Surroundings.Eventually.True(() => first.Ended.Value == 1 && second.Ended.Value == 1, "both connections ended");
            Assert.InRange(atSwap, 1ul, ulong.MaxValue);
            Assert.InRange(first.Grown.Value, atSwap + 1, ulong.MaxValue);
            Assert.InRange(second.Grown.Value, 1ul, ulong.MaxValue);
            Assert.Equal((1ul, 1ul), (first.Started.Value, second.Started.Value));

            using var stranger = Load(new Counting("skep_other"));
            Assert.Contains("the same name", Assert.Throws<BpfException>(() => link.Update(stranger)).Message, StringComparison.Ordinal);
            Forget(stranger);
        }

        Forget(before);
        Forget(after);
    }

    [KernelFact]
    public void A_name_that_is_taken_is_refused_and_said()
    {
        using var first = Load(new Counting("skep_twice"));
        using var second = Load(new Counting("skep_twice"));
        using var link = first.Attach();

        var refusal = Assert.Throws<BpfException>(second.Attach);

        Assert.Equal(Errno.Exists, refusal.ErrorNumber);
        Assert.Contains("'skep_twice' is in use already", refusal.Message, StringComparison.Ordinal);
        Forget(first);
        Forget(second);
    }

    [KernelFact]
    public void A_pinned_table_outlives_its_owner()
    {
        using var pins = new TestPins();
        var control = new Counting("skep_pin");
        using (var table = Load(control))
        using (var link = table.Attach())
        {
            link.Pin(pins.Path("control"));
        }

        Assert.Contains("skep_pin", Available());
        using (var reopened = Assert.IsType<StructOpsLink>(Link.OpenPinned(pins.Path("control"))))
        {
            using var next = Load(new Counting("skep_pin"));
            reopened.Update(next);
            reopened.Detach();
            Forget(next);
        }

        Surroundings.Eventually.True(() => !Available().Contains("skep_pin"), "the name was free again");
        foreach (var map in ProgramGraph.Maps(control))
        {
            map.Dispose();
        }
    }

    [KernelFact]
    public void A_table_without_what_the_kernel_requires_is_refused()
    {
        var refusal = Assert.Throws<BpfException>(() => Load(new Incomplete()));

        Assert.Equal(Errno.Invalid, refusal.ErrorNumber);
        Assert.Contains("a member that the kernel requires is missing", refusal.Message, StringComparison.Ordinal);
    }

    [KernelFact]
    public void A_field_that_programs_may_not_write_is_refused_with_its_line()
    {
        var rejection = Assert.Throws<VerifierException>(() => Load(new Trespasser()));

        Assert.Contains("StructOpsTests.cs", rejection.Message, StringComparison.Ordinal);
        Assert.Contains("socket->SndWnd = 1", rejection.Message, StringComparison.Ordinal);
    }

    [KernelFact]
    public void Rate_samples_and_pacing_are_at_hand()
    {
        var control = new Paced();
        using var table = Load(control);
        using (var link = table.Attach())
        {
            Exchange(control.Name, Once);
        }

        Assert.InRange(control.Delivered.Value, 1ul, 1000ul);
        Assert.InRange(control.Seen.Value, 1ul, ulong.MaxValue);
        Forget(table);
    }

    [KernelFact]
    public void State_beyond_the_private_memory_lives_in_storage_of_the_socket()
    {
        var control = new Storing();
        using var table = Load(control);
        using (var link = table.Attach())
        {
            Exchange(control.Name, Once);
        }

        Surroundings.Eventually.True(() => control.Sum.Value > 0, "the socket gave its congestion control back");
        Assert.Equal(control.Acked.Value, control.Sum.Value);
        Forget(table);
    }

    [KernelFact]
    public void What_is_no_table_of_this_kernel_is_named()
    {
        Assert.Contains("no struct no_such_ops", Assert.Throws<CompileException>(() => Load(new Unknown())).Message, StringComparison.Ordinal);
        var spec = new StructOpsSpec { Name = "none", Struct = "sk_buff", Programs = [], Values = [] };
        Assert.Contains("does not let programs be a sk_buff", Assert.Throws<NotSupportedException>(() => LoadedStructOps.Load(spec)).Message, StringComparison.Ordinal);
    }

    private static LoadedStructOps Load(Bpf.Programming.StructOps table, bool? byLink = null) =>
        LoadedStructOps.Load(StructOpsCompiler.Compile(table, KernelTarget.Running), byLink: byLink);

    private static string[] Available() => File.ReadAllText("/proc/sys/net/ipv4/tcp_available_congestion_control").Split(' ', '\n');

    private static void Forget(LoadedStructOps table)
    {
        foreach (var map in table.Spec.Maps)
        {
            map.Dispose();
        }
    }

    /// <summary>Sends bytes over the loopback interface of a namespace; both ends are closed when it returns.</summary>
    private static void Exchange(string control, int bytes, Action? halfway = null)
    {
        using var space = new TestNamespace();
        using var listener = space.Run(() =>
        {
            var l = new TcpListener(IPAddress.Loopback, 0);
            l.Start();
            return l;
        });
        using var client = space.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        client.SetRawSocketOption(Tcp, Congestion, Encoding.ASCII.GetBytes(control));
        client.Connect(listener.LocalEndpoint);
        using var server = listener.AcceptSocket();
        Send(client, server, bytes / 2);
        halfway?.Invoke();
        Send(client, server, bytes / 2);

        // A reset ends the connection at once.
        client.LingerState = new LingerOption(true, 0);
    }

    private static void Send(Socket client, Socket server, int bytes)
    {
        var buffer = new byte[4000];
        for (var left = bytes; left > 0; left -= buffer.Length)
        {
            client.Send(buffer);
            for (var got = 0; got < buffer.Length; got += server.Receive(buffer))
            {
            }
        }
    }

    /// <summary>Grows by one segment with each acknowledgement, and counts in its private memory and in maps.</summary>
    private class Counting(string name) : TcpCongestionControl
    {
        private readonly string _name = name;

        public readonly Global<ulong> Started = new("started"), Ended = new("ended"), Grown = new("grown"), Remembered = new("remembered"), Rtts = new("rtts");

        public override string Name => _name;

        public override uint Flags => NonRestricted;

        public override void Init(TcpSock* socket)
        {
            Started.Value++;
            socket->Connection.CongestionMemory[0] = 0;
        }

        public override void Release(TcpSock* socket)
        {
            Ended.Value++;
            Remembered.Value = socket->Connection.CongestionMemory[0];
        }

        public override uint SsThresh(TcpSock* socket) => Math.Max(socket->SndCwnd >> 1, 2);

        public override uint UndoCwnd(TcpSock* socket) => socket->PriorCwnd;

        public override void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked)
        {
            Grown.Value++;
            socket->Connection.CongestionMemory[0]++;
            socket->SndCwnd = Math.Min(socket->SndCwnd + 1, socket->SndCwndClamp);
        }

        public override void AcknowledgePackets(TcpSock* socket, AckSample* sample)
        {
            if (sample->RttUs > 0)
            {
                Rtts.Value++;
            }
        }
    }

    private sealed class Incomplete : TcpCongestionControl
    {
        public override string Name => "skep_half";

        public override uint SsThresh(TcpSock* socket) => 2;

        public override uint UndoCwnd(TcpSock* socket) => 2;
    }

    private sealed class Trespasser : TcpCongestionControl
    {
        public override string Name => "skep_trespass";

        public override uint SsThresh(TcpSock* socket) => 2;

        public override uint UndoCwnd(TcpSock* socket) => 2;

        public override void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked)
        {
            socket->SndWnd = 1;
        }
    }

    /// <summary>Sets window and pacing after every acknowledgement.</summary>
    private sealed class Paced : TcpCongestionControl
    {
        public readonly Global<ulong> Delivered = new("delivered"), Seen = new("flags");

        public override string Name => "skep_paced";

        public override uint SsThresh(TcpSock* socket) => 2;

        public override uint UndoCwnd(TcpSock* socket) => socket->SndCwnd;

        public override void CongestionControl(TcpSock* socket, uint acknowledgement, int flag, RateSample* sample)
        {
            if (sample->Delivered > 0)
            {
                Delivered.Value = (ulong)sample->Delivered;
            }

            Seen.Value |= (uint)flag;
            socket->SndCwnd = 20;
            socket->Connection.Inet.Sock.PacingRate = 100_000_000;
        }
    }

    private struct History
    {
        public ulong Sum;
        public Slots Last;
    }

    [System.Runtime.CompilerServices.InlineArray(32)]
    private struct Slots
    {
        private ulong _first;
    }

    /// <summary>Sums up acknowledged segments per socket, in more memory than the socket has for it.</summary>
    private sealed class Storing : TcpCongestionControl
    {
        private readonly SkStorage<History> _histories = new("histories");

        public readonly Global<ulong> Sum = new("sum"), Acked = new("acked");

        public override string Name => "skep_store";

        public override uint SsThresh(TcpSock* socket) => Math.Max(socket->SndCwnd >> 1, 2);

        public override uint UndoCwnd(TcpSock* socket) => socket->PriorCwnd;

        public override void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked)
        {
            ref var history = ref _histories.FindOrCreate(socket);
            if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref history))
            {
                return;
            }

            Acked.Value += acked;
            history.Sum += acked;
            history.Last[31] = acked;
        }

        public override void Release(TcpSock* socket)
        {
            ref var history = ref _histories.Find(socket);
            if (!System.Runtime.CompilerServices.Unsafe.IsNullRef(ref history) && history.Last[31] != 0)
            {
                Sum.Value = history.Sum;
            }
        }
    }

    private sealed class Unknown : Bpf.Programming.StructOps
    {
        public override string Struct => "no_such_ops";
    }
}
