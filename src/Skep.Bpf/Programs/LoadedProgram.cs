using System.Globalization;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programs;

/// <summary>A program in the kernel, behind a file descriptor that this object owns. Links and pins keep the program alive without it.</summary>
public sealed partial class LoadedProgram : IDisposable
{
    private readonly KernelHandle _handle;
    private readonly ProgramInfo _info;

    internal LoadedProgram(KernelHandle handle, ProgramSpec? spec, string log)
    {
        (_handle, Spec, Log) = (handle, spec, log);
        try
        {
            _info = ReadInfo();
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>What was loaded; null when the program was opened by id or pin.</summary>
    public ProgramSpec? Spec { get; }

    /// <summary>Maps of the spec; none when the program was opened by id or pin.</summary>
    public IReadOnlyList<BpfMap> Maps => Spec?.Maps ?? [];

    /// <summary>The verifier's log, when one was asked for (<see cref="LoadOptions.LogLevel"/>).</summary>
    public string Log { get; }

    /// <summary>Number of the program in the kernel, unique while it lives.</summary>
    public uint Id => _info.Id;

    /// <summary>Type of the program.</summary>
    public ProgramType Type => _info.Type;

    /// <summary>Number of its types in the kernel; 0 when it has none.</summary>
    internal uint BtfId => _info.BtfId;

    /// <summary>Name in the kernel, at most 15 characters.</summary>
    public string Name => _info.Name.ToString();

    /// <summary>Hash of the code, 16 hexadecimal digits as bpftool shows it: equal for equal code.</summary>
    public string Tag => Convert.ToHexStringLower(BitConverter.GetBytes(_info.Tag));

    /// <summary>Instructions the verifier walked through, branches counted as often as taken; 0 before kernel 5.16.</summary>
    public int VerifiedInstructions => (int)_info.VerifiedInstructions;

    /// <summary>Bytes of code after the verifier rewrote it; 0 where the kernel hides it.</summary>
    public int TranslatedSize => (int)_info.TranslatedLength;

    /// <summary>Bytes of machine code; 0 when the JIT is off.</summary>
    public int JitedSize => (int)_info.JitedLength;

    /// <summary>Runs and run time since load; both are 0 unless a <see cref="RunStatisticsSwitch"/> is on.</summary>
    public RunStatistics Statistics
    {
        get
        {
            var info = ReadInfo();
            return new RunStatistics(info.RunCount, TimeSpan.FromTicks((long)(info.RunTimeNanoseconds / TimeSpan.NanosecondsPerTick)), info.RunTimeNanoseconds);
        }
    }

    internal KernelHandle Handle => _handle;

    /// <summary>Opens a live program by its number (CAP_SYS_ADMIN).</summary>
    /// <exception cref="BpfException">ENOENT when there is no such program.</exception>
    public static LoadedProgram OpenById(uint id)
    {
        BpfException.ThrowIfFailed(
            BpfSyscall.GetById(BpfCommand.ProgGetFdById, id, out var handle), string.Create(CultureInfo.InvariantCulture, $"Opening program {id} failed"));
        return new LoadedProgram(handle, null, "");
    }

    /// <summary>Opens a pinned program.</summary>
    /// <exception cref="BpfException">There is no such pin (ENOENT), or it is another kind of object (EINVAL).</exception>
    public static LoadedProgram OpenPinned(string path)
    {
        BpfException.ThrowIfFailed(BpfSyscall.ObjGet(path, out var handle), $"Opening the pinned program {path} failed");
        ObjectKinds.Require(handle, ObjectKind.Program, path);
        return new LoadedProgram(handle, null, "");
    }

    /// <summary>Pins the program: it lives on under <paramref name="path"/>, which lies in a bpffs, when the process ends.</summary>
    /// <exception cref="BpfException">EEXIST when the path is taken, EPERM when it does not lie in a bpffs or has a dot in its name.</exception>
    public void Pin(string path) => BpfException.ThrowIfFailed(BpfSyscall.ObjPin(_handle, path), $"Pinning program '{Name}' at {path} failed");

    /// <summary>Closes the descriptor. The program stays in the kernel as long as a link, pin or attachment refers to it.</summary>
    public void Dispose() => _handle.Dispose();

    private ProgramInfo ReadInfo()
    {
        var info = default(ProgramInfo);
        BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(_handle, ref info), "Reading what the kernel knows of a program failed");
        return info;
    }
}
