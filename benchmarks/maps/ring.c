/* Drains a ring buffer with libbpf, over the map and the program that the benchmark made: RING_ID PROG_ID ROUNDS REPEAT.
 * Each round has the program fill the ring, untimed, and drains it, timed by the CPU clock of the thread. Prints records, sum of their numbers, nanoseconds. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned long long records, sum;

static int take(void *context, void *data, size_t size)
{
	(void)context;
	(void)size;
	records++;
	sum += *(unsigned long long *)data;
	return 0;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	unsigned char packet[64] = { 0 };
	long long best = 0, total = 0;
	int map, program, round;
	struct ring_buffer *ring;

	if (argc != 5)
		return 2;
	map = bpf_map_get_fd_by_id(atoi(argv[1]));
	program = bpf_prog_get_fd_by_id(atoi(argv[2]));
	ring = map < 0 ? NULL : ring_buffer__new(map, take, NULL, NULL);
	if (!ring || program < 0)
		return 3;
	for (round = 0; round < atoi(argv[3]); round++) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet), .repeat = atoi(argv[4]));
		unsigned long long before = records;
		long long started, taken;

		if (bpf_prog_test_run_opts(program, &run))
			return 4;
		started = now();
		if (ring_buffer__consume(ring) < 0)
			return 5;
		taken = now() - started;
		total += taken;
		if (records - before != (unsigned long long)atoi(argv[4]))
			return 6;
		if (!best || taken < best)
			best = taken;
	}
	printf("%llu %llu %lld %lld\n", records, sum, total, best);
	return 0;
}
