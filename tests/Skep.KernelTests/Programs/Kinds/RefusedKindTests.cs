using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Features;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

/// <summary>Kinds that a kernel may refuse although it is new enough: they work, or say the kernel's reason, and the probe says the same.</summary>
public class RefusedKindTests
{
    [Proves("fentry")]
    [KernelFact]
    public void A_function_is_watched_at_its_entry()
    {
        var program = new WatchFunction("tcp_v4_connect");
        WorksOrSaysWhy("fentry", program.Attach, () =>
        {
            Connect();
            Assert.True(program.Calls.Value > 0, "no call was seen");
        });
    }

    [Proves("fmod_ret")]
    [KernelFact]
    public void A_function_is_answered_by_a_program() => WorksOrSaysWhy(
        "fmod_ret", new RefuseCall("security_file_open", Environment.ProcessId).Attach, () => Assert.ThrowsAny<Exception>(() => File.OpenRead("/etc/hostname")));

    [Proves("LSM")]
    [KernelFact]
    public void A_security_hook_refuses() => WorksOrSaysWhy(
        "LSM", new RefuseProcess("file_open", Environment.ProcessId).Attach, () => Assert.ThrowsAny<Exception>(() => File.OpenRead("/etc/hostname")));

    [Proves("kprobe")]
    [KernelFact]
    public void Any_kernel_function_is_counted()
    {
        var program = new CountKernelCalls("tcp_v4_connect");
        WorksOrSaysWhy("kprobe", program.Attach, () =>
        {
            Connect();
            Assert.True(program.Calls.Value > 0, "no call was seen");
        });
    }

    [KernelFact]
    [Proves("fexit")]
    public void A_function_is_watched_at_its_exit()
    {
        var program = new WatchExit();
        WorksOrSaysWhy("fexit", () => RawTracepointLink.Attach(ProgramLoader.Load(ProgramCompiler.Compile(program))), () =>
        {
            Connect();
            Assert.True(program.Calls.Value > 0, "no return was seen");
        });
    }

    [KernelFact]
    [Proves("kprobe.multi")]
    public void Many_kernel_functions_are_counted_by_one_link()
    {
        var program = new CountMany();
        WorksOrSaysWhy("kprobe.multi", () => KprobeLink.AttachMulti(ProgramLoader.Load(ProgramCompiler.Compile(program))), () =>
        {
            Connect();
            Assert.True(program.Calls.Value > 0, "no call was seen");
        });
    }

    private static void WorksOrSaysWhy(string kind, Func<Link> attach, Action effect)
    {
        var status = FeatureProbe.Get(KernelFeatures.For(ProgramKinds.All.Single(k => k.Name == kind)));
        if (status.Available)
        {
            using var link = attach();
            effect();
            return;
        }

        Assert.NotEmpty(status.Reason);
        var refusal = Record.Exception(() => attach().Dispose());
        Assert.True(refusal is BpfException or NotSupportedException, $"{kind}: the probe says '{status.Reason}', but attaching gave {refusal?.ToString() ?? "no error"}");
        Assert.True(refusal!.Message.Length > 40, refusal.Message);
        if (refusal is BpfException bpf && status.Reason.Contains("EPERM", StringComparison.Ordinal))
        {
            Assert.Equal(Errno.Permission, bpf.ErrorNumber);
        }
    }

    private sealed class WatchExit : FunctionProgram
    {
        public Global<ulong> Calls { get; } = new("calls");

        public override string Section => "fexit/tcp_v4_connect";

        public override void Run(ref RawTracepointContext context) => Interlocked.Increment(ref Calls.Value);
    }

    private sealed class CountMany : KprobeProgram
    {
        public Global<ulong> Calls { get; } = new("calls");

        public override string Section => "kprobe.multi/tcp_v4_connect";

        public override void Run(ref RegistersContext context) => Interlocked.Increment(ref Calls.Value);
    }

    private static void Connect()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        using var client = new System.Net.Sockets.TcpClient();
        client.Connect((System.Net.IPEndPoint)listener.LocalEndpoint);
    }
}
