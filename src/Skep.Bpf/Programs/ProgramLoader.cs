using System.Text;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Verification;

namespace Skep.Bpf.Programs;

/// <summary>Loads programs into the kernel.</summary>
public static unsafe class ProgramLoader
{
    // Most logs fit the first size. What exceeds the last is cut: new kernels (6.4) keep the end, which has the complaint.
    private const int FirstLog = 1 << 20, LargestLog = 1 << 24;
    private const uint EveryState = 2;

    /// <summary>For tests: hears of every program that the kernel accepts.</summary>
    internal static Action<ProgramSpec>? Accepted { get; set; }

    /// <summary>
    /// Gives the spec's maps their storage, patches the references to them, and has the kernel verify and load the code. Programs that it reaches by
    /// tail calls are loaded too and put into their slots, also of an array that was pinned before: there they take the place of what it held.
    /// </summary>
    /// <exception cref="VerifierException">The verifier rejects the program.</exception>
    /// <exception cref="MapMismatchException">A pinned map does not fit the program's.</exception>
    /// <exception cref="BpfException">The kernel refuses for another reason: EPERM without CAP_BPF and CAP_NET_ADMIN or CAP_PERFMON.</exception>
    /// <exception cref="NotSupportedException">The kernel has no BTF, or lacks the tracepoint the program attaches to.</exception>
    public static LoadedProgram Load(ProgramSpec spec, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(spec);
        options ??= new LoadOptions();
        using var binding = new MapBinding(options);
        var reachable = spec.Reachable;
        foreach (var map in reachable.SelectMany(static s => s.Maps).Distinct())
        {
            binding.Bind(map);
        }

        var loaded = Load(spec, options, Patch(spec));
        try
        {
            FillSlots(reachable, loaded, options);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }

        binding.Commit();
        binding.ReleaseConstants();
        return loaded;
    }

    /// <summary>Loads the programs that are reached by tail calls and puts them into their slots, where the kernel keeps them.</summary>
    private static void FillSlots(IReadOnlyList<ProgramSpec> reachable, LoadedProgram first, LoadOptions options)
    {
        var programs = new Dictionary<ProgramSpec, LoadedProgram> { [reachable[0]] = first };
        try
        {
            foreach (var spec in reachable.Skip(1))
            {
                programs.Add(spec, Load(spec, options, Patch(spec)));
            }

            foreach (var target in reachable.SelectMany(static s => s.TailTargets).Distinct())
            {
                target.Array.Set(target.Slot, programs[target.Program]);
            }
        }
        finally
        {
            foreach (var program in programs.Values.Where(p => p != first))
            {
                program.Dispose();
            }
        }
    }

    private static LoadedProgram Load(ProgramSpec spec, LoadOptions options, byte[] code)
    {
        // An object's own types are shared by all its programs; when the kernel does not take them, those of any program must do.
        var shared = spec.ObjectTypes?.Btf.Open(options.Token);
        var types = shared is null ? ProgramBtf.For(spec) : new ProgramBtf([], spec.ObjectTypes!.Functions, spec.ObjectTypes.Lines);
        using var own = shared is null ? LoadBtf(types.Btf, spec, options.Token) : null;
        using var btfLease = (shared ?? own!).Borrow();
        using var tokenLease = options.Token is null ? default : options.Token.Handle.Borrow();
        var target = AttachTarget(spec);
        var extended = spec.Type == ProgramType.Ext ? Extended(spec, options) : (Program: null, Function: 0u);
        using var extendedLease = extended.Program is null ? default : extended.Program.Handle.Borrow();
        using var modules = ModuleDescriptors.For(spec, target?.Module);
        modules.Patch(spec, code);
        fixed (byte* instructions = code)
        fixed (byte* license = BpfSyscall.NullTerminated(spec.License))
        fixed (byte* functions = types.Functions)
        fixed (byte* lines = types.Lines)
        fixed (int* descriptors = modules.Descriptors)
        {
            var attributes = new ProgLoadAttributes
            {
                Type = spec.Type,
                InstructionCount = (uint)spec.Instructions.Count,
                Instructions = instructions,
                License = license,
                Flags = (uint)spec.Flags | (options.Token is null ? 0 : BpfToken.Flag),
                Token = options.Token is null ? 0 : tokenLease.Descriptor,
                Name = ObjectName.From(spec.Name),
                ExpectedAttachType = spec.ExpectedAttachType ?? 0,
                Btf = btfLease.Descriptor,
                FunctionRecordSize = ProgramBtf.FunctionRecordSize,
                Functions = functions,
                FunctionCount = (uint)(types.Functions.Length / ProgramBtf.FunctionRecordSize),
                LineRecordSize = ProgramBtf.LineRecordSize,
                Lines = lines,
                LineCount = (uint)(types.Lines.Length / ProgramBtf.LineRecordSize),
                AttachBtfId = spec.AttachType is { } table ? table.Id : target?.Id ?? extended.Function,
                AttachProgram = extended.Program is not null ? extendedLease.Descriptor : modules.DescriptorOf(spec.AttachType?.Module ?? target?.Module),
                DescriptorArray = descriptors,
            };
            var log = "";
            int status;
            KernelHandle handle;
            if (options.LogLevel == 0)
            {
                // A log costs time and memory, and most loads succeed: it is asked for only when there is something to read.
                status = BpfSyscall.ProgLoad(ref attributes, out handle);
                if (status < 0)
                {
                    handle.Dispose();
                    var refusal = status;
                    (status, log) = LoadWithLog(ref attributes, 1, out handle);
                    status = status == -Errno.NoSpace ? refusal : status;
                }
            }
            else
            {
                (status, log) = LoadWithLog(ref attributes, (uint)options.LogLevel, out handle);
            }

            if (status >= 0)
            {
                Accepted?.Invoke(spec);
                return new LoadedProgram(handle, spec, log);
            }

            // What makes a program too complex is only seen in what the verifier walked through again and again.
            var walk = "";
            if (options.FindHotspots && status == -Errno.TooBig && log.Length > 0)
            {
                walk = LoadWithLog(ref attributes, EveryState, out handle).Log;
                handle.Dispose();
            }

            throw Refusal(spec, status, log, walk);
        }
    }

    private static (int Status, string Log) LoadWithLog(ref ProgLoadAttributes attributes, uint level, out KernelHandle handle)
    {
        var size = level == EveryState ? LargestLog : FirstLog;
        while (true)
        {
            var buffer = new byte[size];
            int status;
            fixed (byte* log = buffer)
            {
                attributes.Log = log;
                attributes.LogSize = (uint)size;
                attributes.LogLevel = level;
                attributes.LogTrueSize = 0;
                status = BpfSyscall.ProgLoad(ref attributes, out handle);
            }

            // A log that would not fit the largest buffer either is not worth another walk through the program: its end is here.
            if (status != -Errno.NoSpace || size == LargestLog || attributes.LogTrueSize > LargestLog)
            {
                var end = Array.IndexOf(buffer, (byte)0);
                return (status, Encoding.UTF8.GetString(buffer, 0, end < 0 ? size : end));
            }

            // Kernel 6.4 tells the size; before, guessing upwards costs a verification each.
            handle.Dispose();
            size = attributes.LogTrueSize > size ? (int)Math.Min(attributes.LogTrueSize, LargestLog) : Math.Min(size * 8, LargestLog);
        }
    }

    private static BpfException Refusal(ProgramSpec spec, int status, string log, string walk)
    {
        if (log.Length > 0)
        {
            return new VerifierException(spec, status, log, walk);
        }

        var why = -status switch
        {
            Errno.Permission when spec.Type == ProgramType.Ext => "; this kernel does not let programs replace functions of others",
            Errno.Permission => "; root, or CAP_BPF with CAP_NET_ADMIN (networking) or CAP_PERFMON (tracing), is needed, or the kernel forbids this type",
            Errno.Invalid => "; the kernel does not know this program type or attach type",
            Errno.TooBig => "; the program is longer than the kernel takes",
            _ => "",
        };
        return new BpfException($"Loading program '{spec.Name}' ({spec.Type}) failed{why}", status);
    }

    private static KernelHandle LoadBtf(byte[] btf, ProgramSpec spec, BpfToken? token)
    {
        var status = BpfSyscall.BtfLoad(btf, default, out var handle, token);
        if (status >= 0)
        {
            return handle;
        }

        if (status == -Errno.Permission)
        {
            throw Refusal(spec, status, "", "");
        }

        var log = new byte[FirstLog];
        status = BpfSyscall.BtfLoad(btf, log, out handle, token);
        return status >= 0
            ? handle
            : throw new BpfException(
                $"Loading the type information of program '{spec.Name}' failed: {Encoding.UTF8.GetString(log).TrimEnd('\0').Trim()}", status);
    }

    private static KernelTypeId? AttachTarget(ProgramSpec spec)
    {
        if (spec.AttachTarget is not { } target || spec.Type is not (ProgramType.Tracing or ProgramType.Lsm))
        {
            return null;
        }

        _ = KernelTypes.Running ?? throw new NotSupportedException(
            $"Program '{spec.Name}' attaches to '{target}' by its type, but this kernel has no BTF (CONFIG_DEBUG_INFO_BTF).");
        return BtfTarget.Find(spec.Type, spec.ExpectedAttachType, target, out var name) ?? throw new NotSupportedException(
            $"Program '{spec.Name}' attaches to '{target}', which this kernel does not have ({name} is not in its BTF).");
    }

    /// <summary>The program that is extended, and the number of the type of its function.</summary>
    private static (LoadedProgram? Program, uint Function) Extended(ProgramSpec spec, LoadOptions options)
    {
        var program = options.Extends ?? throw new NotSupportedException(
            $"Program '{spec.Name}' replaces a function of another program: say of which ({nameof(LoadOptions)}.{nameof(LoadOptions.Extends)}, or 'skep bpf load --extends').");
        if (spec.AttachTarget is not { } function)
        {
            throw new NotSupportedException($"Program '{spec.Name}' does not say which function it replaces; say it in its section name, freplace/FUNCTION.");
        }

        if (program.BtfId == 0)
        {
            throw new NotSupportedException($"Program '{program.Name}' has no types (BTF), so none of its functions can be replaced.");
        }

        using var types = BtfFile.OpenById(program.BtfId);
        return (program, types.Find(function, BtfKind.Function) ?? throw new NotSupportedException($"Program '{program.Name}' has no function '{function}'."));
    }

    private static byte[] Patch(ProgramSpec spec)
    {
        var code = new byte[spec.Instructions.Count * Instruction.Size];
        for (var i = 0; i < spec.Instructions.Count; i++)
        {
            spec.Instructions[i].Write(code.AsSpan(i * Instruction.Size));
        }

        foreach (var reference in spec.MapReferences)
        {
            if (!spec.Instructions[reference.Slot].IsWideLoad)
            {
                throw new ArgumentException($"Program '{spec.Name}': slot {reference.Slot} refers to map '{reference.Map.Name}' but is no wide load.");
            }

            // The descriptor stays valid during the load because the map owns it and the spec holds the map.
            var descriptor = (int)((KernelMapStorage)reference.Map.Storage).Handle.DangerousGetHandle();
            var first = spec.Instructions[reference.Slot];
            var pseudo = reference.ValueOffset is null ? OpCodes.PseudoMapFd : OpCodes.PseudoMapValue;
            (first with { Src = pseudo, Immediate = descriptor }).Write(code.AsSpan(reference.Slot * Instruction.Size));
            (spec.Instructions[reference.Slot + 1] with { Immediate = (int)(reference.ValueOffset ?? 0) })
                .Write(code.AsSpan((reference.Slot + 1) * Instruction.Size));
        }

        return code;
    }
}
