using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Elf;
using Skep.Bpf.Features;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Tests.Elf;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.FileSystem;

/// <summary>
/// BPF without capabilities outside: a process that is root only in a user namespace of its own makes a bpffs, whoever is root outside says what may be
/// done with it, and the process does it by the token. A process with several threads cannot enter a user namespace, so this assembly is run once more, in one.
/// </summary>
public sealed partial class BpfTokenTests
{
    private const string Workplace = "SKEP_TOKEN_WORKPLACE";
    private const int SetString = 1, Create = 6, ByEmptyPath = 4, CurrentDirectory = -100, Lookup = 1;
    private static readonly Version s_firstKernel = new(6, 9);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    // Since 424 system calls have the same number on every processor.
    private enum Call
    {
        MoveMount = 429,
        FsOpen = 430,
        FsConfig = 431,
        FsMount = 432,
        PidFdOpen = 434,
        PidFdGetFd = 438,
    }

    [KernelFact]
    public async Task A_process_without_privileges_outside_its_user_namespace_does_by_token_what_was_delegated_and_no_more()
    {
        Assert.SkipUnless(FeatureProbe.RunningKernel >= s_firstKernel, $"BPF tokens need kernel {s_firstKernel}");
        const string limit = "/proc/sys/user/max_user_namespaces";
        Kernel.Require(File.Exists(limit) && File.ReadAllText(limit).Trim() != "0", "user namespaces are switched off");
        var folder = Directory.CreateTempSubdirectory("skep-token-");
        try
        {
            Directory.CreateDirectory(Path.Combine(folder.FullName, "bpf"));
            using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(folder.FullName, "delegation")));
            listener.Listen(1);
            using var child = StartChild(folder.FullName);
            var output = child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var begun = listener.AcceptAsync(TestContext.Current.CancellationToken).AsTask();
            var first = await Task.WhenAny(begun, output).WaitAsync(s_limit, TestContext.Current.CancellationToken);
            Assert.True(first == begun, $"no user namespace was made, or the test in it ended at once: {(first == output ? await output : "")}");
            using (var connection = new NetworkStream(await begun, ownsSocket: true))
            using (var reader = new StreamReader(connection))
            {
                var words = (await reader.ReadLineAsync(TestContext.Current.CancellationToken))!.Split(' ');
                Delegate(int.Parse(words[0], CultureInfo.InvariantCulture), int.Parse(words[1], CultureInfo.InvariantCulture));
                connection.Write("done\n"u8);
                await child.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(s_limit, TestContext.Current.CancellationToken);
            }

            Assert.True(child.ExitCode == 0, await output);
            Assert.Contains("Total: 1, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0", await output, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The other half of the test, run by it in namespaces for users, mounts and network.</summary>
    [Fact(Explicit = true)]
    public void Inside_the_user_namespace()
    {
        var folder = Environment.GetEnvironmentVariable(Workplace);
        Assert.SkipWhen(folder is null, "this is a part of another test, which runs it");
        var context = Invoke(Call.FsOpen, Text("bpf"), 0);
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Connect(new UnixDomainSocketEndPoint(Path.Combine(folder, "delegation")));
            using var connection = new NetworkStream(socket, ownsSocket: false);
            using var reader = new StreamReader(connection);
            connection.Write(System.Text.Encoding.ASCII.GetBytes($"{Environment.ProcessId} {context}\n"));
            Assert.Equal("done", reader.ReadLine());
        }

        var mount = Invoke(Call.FsMount, context, 0, 0);
        var path = Path.Combine(folder, "bpf");
        Invoke(Call.MoveMount, mount, Text(""), CurrentDirectory, Text(path), ByEmptyPath);

        using var forbidden = new HashMap<uint, uint>(1, "forbidden");
        Assert.Equal(Errno.Permission, Assert.Throws<BpfException>(() => KernelMapStorage.Create(forbidden)).ErrorNumber);
        Assert.False(FeatureProbe.Get(KernelFeatures.Xdp).Available);

        using var token = BpfToken.Create(path);
        Assert.True(FeatureProbe.Get(KernelFeatures.Xdp, token).Available);
        Assert.True(FeatureProbe.Get(KernelFeatures.MapBatches, token).Available);
        Assert.Contains("not permitted", FeatureProbe.Get(KernelFeatures.Tc, token).Reason, StringComparison.Ordinal);
        Assert.Contains("not permitted", FeatureProbe.Get(KernelFeatures.RingBuffer, token).Reason, StringComparison.Ordinal);

        var options = new LoadOptions { Token = token };
        using var packets = new HashMap<uint, ulong>(1, "packets");
        using (var program = ProgramLoader.Load(Counts(packets, ProgramType.Xdp), options))
        {
            packets.Set(0u, 0ul);
            Assert.Equal(2, program.TestRun(new byte[64]).ReturnValue);
            Assert.True(packets.TryGet(0u, out var count));
            Assert.Equal(1ul, count);
            using var link = XdpLink.Attach(program, 1, XdpMode.Generic);
            Assert.Equal(program.Id, link.ProgramId);
        }

        var refusal = Assert.Throws<BpfException>(() => ProgramLoader.Load(Counts(packets, ProgramType.SchedCls), options));
        Assert.Equal(Errno.Permission, refusal.ErrorNumber);
        using var ring = new RingBuffer<uint>(4096, "ring");
        Assert.Equal(Errno.Permission, Assert.Throws<BpfException>(() => KernelMapStorage.Create(ring, token)).ErrorNumber);

        using var objectFile = ObjectSpec.Read(SampleObject.Build(constant: 3)).Load(options);
        Assert.True(objectFile.Succeeded, string.Join('\n', objectFile.Programs.Select(p => p.Error?.Message).Concat(objectFile.Maps.Select(m => m.Error?.Message))));
    }

    private static ProgramSpec Counts(HashMap<uint, ulong> packets, ProgramType type) => new Assembler()
        .StoreImmediate(OpCodes.SizeW, R10, -4, 0).LoadMap(R1, packets).MoveRegister(R2, R10).Alu(OpCodes.Add, R2, -4).Call(Lookup)
        .Jump(OpCodes.Jeq, R0, 0, "end").Move(R1, 1).Atomic(OpCodes.SizeDw, OpCodes.AtomicAdd, R0, 0, R1)
        .Label("end").Move(R0, 2).Exit().Build("counts", type);

    private static Process StartChild(string folder)
    {
        var start = new ProcessStartInfo(
            "unshare",
            [
                "--user", "--map-root-user", "--mount", "--net", "--", Environment.ProcessPath!, "exec", typeof(BpfTokenTests).Assembly.Location,
                "-noLogo", "-noColor", "-explicit", "only", "-method", $"{typeof(BpfTokenTests).FullName}.{nameof(Inside_the_user_namespace)}",
            ])
        {
            RedirectStandardOutput = true,
        };
        start.Environment[Workplace] = folder;
        return Process.Start(start)!;
    }

    /// <summary>What root outside does: hash tables, arrays and XDP programs, and nothing else.</summary>
    private static void Delegate(int processId, int descriptor)
    {
        var process = Invoke(Call.PidFdOpen, processId, 0);
        var context = Invoke(Call.PidFdGetFd, process, descriptor, 0);
        Set("delegate_cmds", "any");
        Set("delegate_maps", $"0x{1 << (int)MapKind.Hash | 1 << (int)MapKind.Array:x}");
        Set("delegate_progs", $"0x{1 << (int)ProgramType.Xdp:x}");
        Set("delegate_attachs", "any");
        Invoke(Call.FsConfig, context, Create, 0, 0, 0);
        Assert.Equal(0, LibC.close(context));
        Assert.Equal(0, LibC.close(process));

        void Set(string option, string value) => Invoke(Call.FsConfig, context, SetString, Text(option), Text(value), 0);
    }

    private static nint Text(string text) => Marshal.StringToCoTaskMemUTF8(text);

    private static int Invoke(Call call, nint a = 0, nint b = 0, nint c = 0, nint d = 0, nint e = 0)
    {
        var result = (int)syscall((nint)call, a, b, c, d, e);
        Assert.True(result >= 0, $"{call}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        return result;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint a, nint b, nint c, nint d, nint e);
}
