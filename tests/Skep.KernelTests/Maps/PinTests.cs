using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Maps;

public class PinTests
{
    private static readonly byte[] s_packet = new byte[64];

    private static ProgramSpec Count(Global<ulong> counter) => new Assembler()
        .LoadMapValue(R1, counter)
        .Move(R2, 1)
        .Atomic(SizeDw, AtomicAdd, R1, 0, R2)
        .Move(R0, 2)
        .Exit()
        .Build("count", ProgramType.Xdp);

    [KernelFact]
    public void A_program_loaded_again_goes_on_with_the_pinned_maps()
    {
        using var pins = new TestPins();
        var options = new LoadOptions { PinDirectory = pins.Directory };
        uint firstId;
        using (var counter = new Global<ulong>("packets"))
        using (var program = ProgramLoader.Load(Count(counter), options))
        {
            program.TestRun(s_packet);
            firstId = ((KernelMapStorage)counter.Storage).Id;
        }

        using var again = new Global<ulong>("packets");
        using var second = ProgramLoader.Load(Count(again), options);
        second.TestRun(s_packet);

        Assert.Equal(2ul, again.Value);
        Assert.Equal(firstId, ((KernelMapStorage)again.Storage).Id);
    }

    [KernelFact]
    public void A_program_whose_map_does_not_fit_the_pin_is_not_loaded()
    {
        using var pins = new TestPins();
        using var wide = new ArrayMap<ulong>(4, "packets", MapFlags.Mmapable);
        wide.Bind(KernelMapStorage.Create(wide));
        ((KernelMapStorage)wide.Storage).Pin(pins.Path("packets"));
        using var counter = new Global<ulong>("packets");

        var refusal = Assert.Throws<MapMismatchException>(
            () => ProgramLoader.Load(Count(counter), new LoadOptions { PinDirectory = pins.Directory }));

        Assert.Equal(["max entries: pinned 4, wanted 1"], refusal.Differences);
        Assert.False(counter.IsBound);
    }

    [KernelFact]
    public void A_rejected_program_leaves_no_pins_behind()
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>("packets");
        var spec = new Assembler().LoadMapValue(R1, counter).MoveRegister(R0, R7).Exit().Build("bad", ProgramType.Xdp);

        Assert.Throws<Skep.Bpf.Verification.VerifierException>(
            () => ProgramLoader.Load(spec, new LoadOptions { PinDirectory = pins.Directory }));

        Assert.Empty(Directory.EnumerateFileSystemEntries(pins.Directory));
        Assert.False(counter.IsBound);
    }

    [KernelFact]
    public void Only_the_chosen_maps_are_pinned()
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>("packets");

        using var program = ProgramLoader.Load(Count(counter), new LoadOptions { PinDirectory = pins.Directory, PinMap = _ => false });

        Assert.Empty(Directory.EnumerateFileSystemEntries(pins.Directory));
    }

    [KernelTheory]
    [InlineData("a/b")]
    [InlineData("../../escape")]
    [InlineData("..")]
    [InlineData("nul\0behind")]
    [InlineData("line\nbreak")]
    [InlineData("Ünïcode und Leerzeichen")]
    public void A_map_of_any_name_is_pinned_in_the_directory_and_nowhere_else(string name)
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>(name);

        using var program = ProgramLoader.Load(Count(counter), new LoadOptions { PinDirectory = pins.Directory });

        using var found = KernelMapStorage.OpenPinned(Assert.Single(Directory.EnumerateFileSystemEntries(pins.Directory)), counter);
        Assert.Equal(((KernelMapStorage)counter.Storage).Id, found.Id);
    }

    [KernelFact]
    public void A_name_longer_than_the_file_system_takes_is_refused_and_leaves_nothing()
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>(new string('n', 300));

        var refusal = Assert.Throws<BpfException>(() => ProgramLoader.Load(Count(counter), new LoadOptions { PinDirectory = pins.Directory }));

        Assert.Contains("ENAMETOOLONG", refusal.Message);
        Assert.False(counter.IsBound);
    }

    [KernelFact]
    public void A_pin_of_another_kind_of_object_is_told_from_a_map_and_from_a_program()
    {
        using var pins = new TestPins();
        using var counter = new Global<ulong>("packets");
        using var program = ProgramLoader.Load(Count(counter), new LoadOptions { PinDirectory = pins.Directory });
        program.Pin(pins.Path("program"));

        Assert.Contains("is a program, not a map", Assert.Throws<BpfException>(() => KernelMapStorage.OpenPinned(pins.Path("program"))).Message);
        Assert.Contains("is a map, not a program", Assert.Throws<BpfException>(() => LoadedProgram.OpenPinned(pins.Path("packets"))).Message);
        Assert.Throws<NotSupportedException>(() => Link.OpenPinned(pins.Path("program")));
        Assert.Throws<NotSupportedException>(() => Link.OpenPinned(pins.Path("packets")));
    }
}
