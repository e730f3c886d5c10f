using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.KernelViews;

/// <summary>What the generator writes compiles, and programs that use it are accepted and see the truth.</summary>
public class GeneratedViewTests
{
    private const string Probe = """
        using Skep.Bpf.Maps;
        using Skep.Bpf.Programming;
        using Generated.Views;

        public sealed unsafe class Probe(ulong thread) : RawTracepointProgram
        {
            private readonly ulong _thread = thread;
            public readonly Global<ulong> Cwnd = new("cwnd"), Family = new("family"), State = new("state"), Open = new("open"), Mss = new("mss"), Limited = new("limited"), Local = new("local");
            public override string Tracepoint => "inet_sock_set_state";
            public override void Run(ref RawTracepointContext context)
            {
                if (context.Value(1) != 2 || context.Value(2) != 1 || Helper.GetCurrentPidTgid() != _thread)
                {
                    return;
                }

                var tcp = context.Pointer<TcpSock>(0);
                Cwnd.Value = tcp->SndCwnd;
                Family.Value = tcp->InetConn.IcskInet.Sk.SkCommon.SkcFamily;
                State.Value = tcp->InetConn.IcskCaState;
                Open.Value = (ulong)KernelType.ValueOf(TcpCaState.Open);
                Mss.Value = tcp->InetConn.IcskAck.RcvMss;
                Limited.Value = tcp->IsCwndLimited;
                Local.Value = tcp->InetConn.IcskInet.Sk.SkCommon.SkcNum;
            }
        }
        """;

    [KernelFact]
    public void A_program_over_generated_views_sees_the_truth()
    {
        var writer = new KernelViewWriter(BtfFile.Kernel!);
        Assert.True(writer.Add("tcp_sock"));
        Assert.True(writer.Add("tcp_ca_state"));
        var assembly = CSharpSource.Compile(writer.Write("Generated.Views"), Probe);
        var probe = (RawTracepointProgram)Activator.CreateInstance(assembly.GetType("Probe")!, ThisThread.PidTgid)!;
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(probe, KernelTarget.Running));
        using var link = RawTracepointLink.Attach(program);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndpoint);

        ulong Value(string name) => ((Global<ulong>)probe.GetType().GetField(name)!.GetValue(probe)!).Value;
        Assert.InRange(Value("Cwnd"), 1ul, 1000ul);
        Assert.Equal(2ul, Value("Family"));
        Assert.Equal(Value("Open"), Value("State"));
        Assert.InRange(Value("Mss"), 1ul, 1ul << 16);
        Assert.InRange(Value("Limited"), 0ul, 1ul);
        Assert.Equal((ulong)((IPEndPoint)client.LocalEndPoint!).Port, Value("Local"));
        foreach (var map in program.Maps)
        {
            map.Dispose();
        }
    }

    [KernelFact]
    public void Large_types_of_the_kernel_compile()
    {
        var btf = BtfFile.Kernel!;
        var writer = new KernelViewWriter(btf);
        string[] names =
        [
            "task_struct", "sk_buff", "net_device", "file", "inode", "super_block", "mm_struct", "bpf_map", "bpf_prog", "net", "nf_conn", "cgroup", "cred", "perf_event",
            "tcp_congestion_ops", "bpf_attr", "iphdr", "tcphdr", "ethhdr", "in6_addr", "bpf_func_id", "skb_drop_reason", "bpf_attach_type", "atomic_t", "refcount_t",
            "tcp_reno_cong_avoid", "bpf_task_acquire", "bpf_dynptr_slice", "bpf_xdp_metadata_rx_hash",
        ];
        var known = names.Count(writer.Add);
        var assembly = CSharpSource.Compile(writer.Write("Generated.Views"));

        // nf_conn and others may be configured out of a kernel.
        Assert.InRange(known, names.Length - 6, names.Length);
        Assert.InRange(assembly.GetTypes().Length, 200, int.MaxValue);
        Assert.Equal(writer.Written.Count(w => w.Kind == "function"), assembly.GetType("Generated.Views.KernelFunctions")!.GetMethods().Count(m => m.IsDefined(typeof(KernelFunctionAttribute), false)));
    }

    [Fact]
    public void Hostile_names_stay_names()
    {
        var b = new BtfBuilder();
        var u32 = b.AddInt("unsigned int", 4, false);
        var u8 = b.AddInt("char", 1, true);
        var big = b.AddInt("__int128", 16, true);
        var unnamed = b.AddStruct("", 8, ("x", u32, 0u), ("y", u32, 32u));
        var inner = b.AddUnion("", 8, ("word", u32), ("bytes", b.AddArray(u8, u32, 8)));
        var named = b.AddTypedef("pair_t", unnamed);
        b.AddStruct(
            "class", 128, ("class", u32, 0u), ("Class", u32, 32u), ("string name; } //", u32, 64u), ("\"quoted\\\n", u32, 96u), ("2nd", u32, 128u), ("", unnamed, 160u), ("both", inner, 224u), ("pair", named, 288u),
            ("wide", big, 384u), ("pointers", b.AddArray(b.AddPointer(0), u32, 3), 512u), ("none", b.AddArray(u32, u32, 0), 704u), ("grid", b.AddArray(b.AddArray(u32, u32, 2), u32, 3), 704u), ("naïve", u32, 900u), ("naive", u32, 932u));
        b.AddEnum("int", ("int", 1), ("INT", 2), ("a\"b", 3), ("-", -1));
        b.AddFunction("namespace", b.AddPrototype(0, ("this", u32), ("", b.AddPointer(u8)), ("this", u32)), global: true);
        b.AddStruct("KernelFunctions", 4, ("value", u32, 0u));
        using var btf = BtfFile.Parse(b.Build());
        var writer = new KernelViewWriter(btf);
        Assert.All(new[] { "class", "int", "namespace", "KernelFunctions", "pair_t" }, name => Assert.True(writer.Add(name)));
        Assert.False(writer.Add("missing"));
        Assert.False(writer.Add(""));

        var assembly = CSharpSource.Compile(writer.Write("Hostile"));

        var fields = assembly.GetType("Hostile.Class")!.GetFields();
        var names = fields.Select(f => ((KernelFieldAttribute?)Attribute.GetCustomAttribute(f, typeof(KernelFieldAttribute)))?.Path ?? f.Name).ToArray();
        Assert.Contains("string name; } //", names);
        Assert.Contains("\"quoted\\\n", names);
        Assert.Contains("naïve", names);
        Assert.DoesNotContain("none", names);
    }

    [Fact]
    public void A_struct_within_itself_ends()
    {
        var b = new BtfBuilder();
        b.AddStruct("loop", 8, ("", b.NextId, 0u));
        using var btf = BtfFile.Parse(b.Build());
        var writer = new KernelViewWriter(btf);
        Assert.True(writer.Add("loop"));
        Assert.Contains("struct Loop", writer.Write("Loops"), StringComparison.Ordinal);
    }
}
